"""`mealshare static`: static files where a web server finds them."""

from __future__ import annotations

import gzip
import os
import secrets
from pathlib import Path

import click

from mealshare.cli.errors import CommandFailed
from mealshare.web.static import FOLDER, static_version

#: What is text, and becomes smaller; pictures are compressed already.
_TEXT = frozenset({".css", ".js", ".svg", ".txt", ".md", ".json"})
#: A smaller file fits into one packet anyway.
_WORTH_IT = 1000


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def static(folder: Path) -> None:
    """Write the static files into FOLDER, for a web server that sends them itself.

    They come to static/<version>/, with a .gz beside each that gains by it.  What is there already stays, older versions
    too: a page that was opened before an upgrade may still ask for them.
    """
    target = folder.absolute() / "static" / static_version()
    if target.is_dir():
        click.echo(f"{target} is there already.")
        return
    # Under another name until it is whole: a web server may look into the folder at any moment.
    unfinished = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    count = 0
    for source in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        _write(unfinished / source.relative_to(FOLDER), source.read_bytes())
        count += 1
    try:
        unfinished.rename(target)
    except OSError as error:
        raise CommandFailed(f"{target} cannot be made: {error.strerror}") from error
    click.echo(f"Wrote {count} files to {target}.")


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    if file.suffix in _TEXT and len(data) > _WORTH_IT:
        # The same moment for both files, so that nothing differs between two machines.
        packed = file.with_name(f"{file.name}.gz")
        packed.write_bytes(gzip.compress(data, 9, mtime=0))
        os.utime(packed, (file.stat().st_atime, file.stat().st_mtime))
