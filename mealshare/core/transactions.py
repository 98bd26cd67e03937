"""One transaction a request: pyramid_tm commits it, pyramid_retry runs the request again after a passing conflict."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid_retry import IBeforeRetry

#: What one attempt leaves in the WSGI environment, which the next one shares: the parsed form, whose files have been
#: read to their ends, and who made the request.
LEFT_BEHIND = ("webob._parsed_post_vars", "mealshare.user")


def forget_attempt(event: Any) -> None:
    """Let the next attempt begin as the first one did."""
    for name in LEFT_BEHIND:
        event.environ.pop(name, None)


def includeme(config: Configurator) -> None:
    """Wire pyramid_tm and pyramid_retry with the settings that the rest of the code relies on."""
    settings = config.registry.settings
    settings.setdefault("retry.attempts", 3)
    settings["tm.manager_hook"] = "pyramid_tm.explicit_manager"
    # Otherwise pyramid_tm asks for the user of every request, which costs a statement.
    settings["tm.annotate_user"] = False
    # Without a veto an answer of 4xx commits, and a raised redirect loses its write: return redirects, raise errors.
    settings["tm.commit_veto"] = "pyramid_tm.default_commit_veto"
    config.include("pyramid_retry")
    config.include("pyramid_tm")
    config.add_subscriber(forget_attempt, IBeforeRetry)
