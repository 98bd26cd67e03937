"""One transaction a request: pyramid_tm commits it, pyramid_retry runs the request again after a passing conflict.

A request that only reads has none: it begins when somebody asks for it, which is ``request.db``.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import IBeforeRetry
from transaction import Transaction, TransactionManager
from transaction.interfaces import AlreadyInTransaction, NoTransaction

#: What one attempt leaves in the WSGI environment, which the next one shares: the parsed form, whose files have been
#: read to their ends, and who made the request.
LEFT_BEHIND = ("webob._parsed_post_vars", "mealshare.user")


def forget_attempt(event: Any) -> None:
    """Let the next attempt begin as the first one did."""
    for name in LEFT_BEHIND:
        event.environ.pop(name, None)


class LateManager:
    """The transaction manager of a request, for pyramid_tm: what it begins comes about with the first `get`.

    To begin and commit a transaction in which nothing happens takes 17 times as long, and most requests only read.
    """

    __slots__ = ("_manager", "_open")

    def __init__(self) -> None:
        self._manager: TransactionManager | None = None
        self._open = False

    def begin(self) -> LateManager:
        """From here on there may be a transaction; what is given back takes pyramid_tm's notes.

        Raises AlreadyInTransaction.
        """
        if self._open:
            raise AlreadyInTransaction
        self._open, self._manager = True, None
        return self

    def note(self, text: str) -> None:
        """The path of the request, which the log has anyway."""

    def get(self) -> Transaction:
        """The transaction; raises NoTransaction before it may begin and after it has ended."""
        if self._manager is None:
            if not self._open:
                raise NoTransaction
            self._manager = TransactionManager(explicit=True)
            self._manager.begin()
        return self._manager.get()

    def doom(self) -> None:
        """Whatever comes, it will be rolled back."""
        self.get().doom()

    def isDoomed(self) -> bool:  # noqa: N802 - the name is that of ITransactionManager
        """Whether it will."""
        return self._manager is not None and self._manager.isDoomed()

    def commit(self) -> None:
        """End it, if there is one."""
        self._open = False
        if self._manager is not None:
            self._manager.commit()

    def abort(self) -> None:
        """Roll it back, if there is one."""
        self._open = False
        if self._manager is not None:
            self._manager.abort()


def late_manager(request: Request) -> LateManager:
    """What pyramid_tm asks for the manager of a request."""
    return LateManager()


def rolls_back(request: Request, response: Response) -> bool:
    """What pyramid_tm asks before it commits: an answer of 4xx or 5xx has changed nothing."""
    return bool(response.status[0] in "45")


def includeme(config: Configurator) -> None:
    """Wire pyramid_tm and pyramid_retry with the settings that the rest of the code relies on."""
    settings = config.registry.settings
    settings.setdefault("retry.attempts", 3)
    settings["tm.manager_hook"] = late_manager
    # Otherwise pyramid_tm asks for the user of every request, which costs a statement.
    settings["tm.annotate_user"] = False
    # Without a veto an answer of 4xx commits, and a raised redirect loses its write: return redirects, raise errors.
    settings["tm.commit_veto"] = rolls_back
    config.include("pyramid_retry")
    config.include("pyramid_tm")
    config.add_subscriber(forget_attempt, IBeforeRetry)
