"""One transaction a request: pyramid_tm commits it, pyramid_retry runs the request again after a passing conflict."""

from __future__ import annotations

from pyramid.config import Configurator


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
