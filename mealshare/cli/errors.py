"""What a command says when it cannot do what was asked."""

from __future__ import annotations

from collections.abc import Mapping

from alembic.util import CommandError
from pyramid.exceptions import ConfigurationExecutionError
from pyramid.i18n import TranslationString
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mealshare.core.backup.errors import BackupError
from mealshare.core.errors import DomainError, FieldError, InputInvalid
from mealshare.core.messages import FIELDS, PROBLEMS
from mealshare.core.settings import BootError
from mealshare.core.storage import StorageError


class CommandFailed(Exception):
    """The command cannot do this; the message says why, and where possible what to do."""


#: Errors whose message is meant for whoever gave the command.
_PLAIN = (CommandFailed, BackupError, BootError, StorageError, CommandError, SQLAlchemyError)


def one_line(error: BaseException) -> str | None:
    """What is wrong, in one line; None for what no command expects, which deserves its traceback."""
    if isinstance(error, ConfigurationExecutionError):
        # Pyramid wraps what an action raised while the application was put together.
        cause = error.evalue
        return one_line(cause) if isinstance(cause, BaseException) else None
    if isinstance(error, DBAPIError):
        return f"the database says: {_first_line(error.orig)}"
    if isinstance(error, DomainError):
        return _domain(error, {**FIELDS, **PROBLEMS})
    if isinstance(error, _PLAIN):
        return _first_line(error)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"{error.filename}: {error.strerror}" if error.filename else _first_line(error)
    return None


def explained(error: DomainError, messages: Mapping[str, str]) -> CommandFailed:
    """The refusal of a service in the words of ``messages``, which a feature may have added to."""
    return CommandFailed(_domain(error, messages))


def _domain(error: DomainError, messages: Mapping[str, str]) -> str:
    if isinstance(error, InputInvalid) and error.errors:
        return "; ".join(f"{item.field}: {_words(item, messages)}" for item in error.errors)
    return _words(FieldError("", error.code, error.params), messages)


def _words(item: FieldError, messages: Mapping[str, str]) -> str:
    message = messages.get(item.code, item.code)
    return str(TranslationString(message, mapping=dict(item.params)).interpolate())


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
