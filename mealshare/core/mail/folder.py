"""Mail into a folder, where no SMTP server is set: for development, and so that no link to reset a password is lost."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from email.headerregistry import Address
from pathlib import Path

from mealshare.core import clock, ids
from mealshare.core.mail.message import MailFailed, Message, build

MAIL_WRITTEN = "mail.written_to_folder"

log = logging.getLogger(__name__)


class FolderMailer:
    """A Mailer that writes each message as an ``.eml`` file, which any mail program opens, into ``folder``.

    Files are readable by the owner only: they hold links that log people in.  Names sort by time.
    """

    def __init__(self, folder: Path, sender: Address) -> None:
        self.folder = Path(folder).absolute()
        self._sender = sender

    def send(self, message: Message) -> None:
        """See Mailer."""
        data = bytes(build(message, self._sender))
        number = ids.new_id()
        name = f"{clock.now():%Y%m%dT%H%M%S}-{number}.eml"
        unfinished = self.folder / f".{name}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(unfinished, "xb", opener=_open_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.folder / name)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise MailFailed(f"cannot write into the folder {self.folder}: {error.strerror}") from error
        log.info(MAIL_WRITTEN, extra={"file": str(self.folder / name), "reason": "mail.host is not set"})

    def healthy(self) -> bool:
        """See Mailer."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return False
        return os.access(self.folder, os.W_OK | os.X_OK)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
