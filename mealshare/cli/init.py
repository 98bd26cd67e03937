"""`mealshare init`: a configuration for a site of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import click

from mealshare.cli.errors import CommandFailed
from mealshare.core.security.tokens import new_token

_SECRET_BYTES = 48

TEMPLATE = """\
# The configuration of a MealShare site, written by `mealshare init`.  It holds secrets: only its owner may read it.
# Next: `mealshare -c {name} db upgrade`, then `pserve {name}`.
# `mealshare settings` lists every other setting; each can also come from the environment: MEALSHARE_SECTION__KEY.

[app:main]
use = egg:mealshare

# The address under which people reach the site, without a slash at its end.
site.base_url = {base_url}
# Cookies and forms are signed with keys derived from it; a new one signs everybody out of their forms.
site.secret = {site_secret}
# Access tokens of the API are signed with it; a new one ends them all.
jwt.secret = {jwt_secret}

# Everything that people write.  PostgreSQL: postgresql+psycopg://user:password@host/database
db.url = sqlite:///%(here)s/var/mealshare.sqlite
# Everything that people upload.
storage.folder = %(here)s/var/media

# Without a mail server, mail is written into this folder as files.
mail.folder = %(here)s/var/mail
# While this file is there, the site can only be read: `mealshare -c {name} readonly on` and `off`.
site.read_only_file = %(here)s/var/read-only
# Compiled templates, so that the next start is quicker.
templates.compiled = %(here)s/var/templates
# mail.host = smtp.example.org
# mail.user = meals
# mail.password =
# mail.sender = MealShare <meals@example.org>

# Origins whose scripts may use the API from a browser, such as https://app.example.org
# cors.origins =

[server:main]
use = egg:mealshare#server
listen = {listen}
# Behind a reverse proxy: its address, so that it is believed who the client is.
# trusted_proxy = 127.0.0.1

[loggers]
keys = root, mealshare

[handlers]
keys = console

[formatters]
keys = text

[logger_root]
level = WARNING
handlers = console

[logger_mealshare]
level = INFO
handlers =
qualname = mealshare

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = text

[formatter_text]
class = mealshare.core.log.TextFormatter
"""


@click.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    default=Path("mealshare.ini"),
    show_default=True,
    help="Where to write it.",
)
@click.option(
    "--base-url",
    default="http://localhost:6543",
    show_default=True,
    help="The address under which people reach the site.",
)
def init(file: Path, base_url: str) -> None:
    """Write a configuration with fresh secrets."""
    base_url = base_url.rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or base_url.count("/") != 2:
        raise CommandFailed(f"{base_url} is not an address such as https://meals.example.org")
    text = TEMPLATE.format(
        name=file,
        base_url=base_url.replace("%", "%%"),
        site_secret=new_token(_SECRET_BYTES),
        jwt_secret=new_token(_SECRET_BYTES),
        listen=_listen(base_url),
    )
    try:
        # Made unreadable for others from its first byte, and never over a file that is there.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandFailed(f"{file} is there already; it was not touched") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(text)
    click.echo(f"Wrote {file}. Next: mealshare -c {file} db upgrade, then pserve {file}")


def _listen(base_url: str) -> str:
    """Where to listen: at the port of a site on this machine; behind the proxy that serves any other."""
    parts = urlsplit(base_url)
    port = parts.port if parts.hostname in ("localhost", "127.0.0.1") and parts.port else 6543
    return f"127.0.0.1:{port}"
