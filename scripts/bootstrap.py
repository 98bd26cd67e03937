"""Make a virtual environment with pip in it: ``python3 scripts/bootstrap.py FOLDER``; standard library only.

Debian ships Python without ensurepip (it is in python3-venv, which takes a package manager and a root password).  Where
it is missing, pip's wheel comes from the package index that pip itself would use (PIP_INDEX_URL, pip.conf, else PyPI),
is checked against the hash that the index gives, and installs itself.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import html.parser
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PYPI = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"
WHEEL = re.compile(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl")
TIMEOUT_SECONDS = 60


class BootstrapError(Exception):
    """The environment cannot be made; the message says why."""


def main(arguments: list[str]) -> int:
    """Make the environment in the folder that ``arguments`` name; 0 when it is there, 1 when it cannot be made."""
    fetch = "--fetch-pip" in arguments
    folders = [argument for argument in arguments if not argument.startswith("--")]
    if len(folders) != 1:
        sys.stderr.write("usage: python3 scripts/bootstrap.py [--fetch-pip] FOLDER\n")
        return 2
    try:
        make(Path(folders[0]), fetch=fetch)
    except BootstrapError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def make(folder: Path, *, fetch: bool = False) -> None:
    """An environment with a working pip in ``folder``; with ``fetch``, without trying ensurepip first."""
    if sys.version_info < (3, 11):  # noqa: UP036  It also runs on the Python that somebody happens to have.
        raise BootstrapError(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; try `make PY=python3.12`"
        )
    python = folder / "bin" / "python"
    if _works(python):
        return
    if not fetch and _venv(folder) and _works(python):
        return
    if not _venv(folder, "--without-pip"):
        raise BootstrapError(
            f"{sys.executable} cannot make a virtual environment in {folder} (is its module venv there?)"
        )
    with tempfile.TemporaryDirectory() as scratch:
        wheel = download_pip(Path(scratch))
        # Python runs what stands in a zip file, so the wheel can install itself.
        _run([str(python), str(wheel / "pip"), "install", "--quiet", "--no-index", "--no-deps", str(wheel)])
    if not _works(python):
        raise BootstrapError(f"pip was installed in {folder}, but does not work")


def download_pip(target: Path) -> Path:
    """The newest pip for this Python from the package index, as a file in ``target``."""
    index, certificate = index_settings()
    page = f"{index.rstrip('/')}/pip/"
    context = ssl.create_default_context(cafile=certificate)
    body, kind, address = _get(page, context)
    url, digest = newest(links(body.decode("utf-8", "replace"), kind, address))
    name = Path(urllib.parse.urlsplit(url).path).name
    data, _, _ = _get(url, context)
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise BootstrapError(f"{name} from {_shown(page)} does not have the hash that the index gives")
    file = target / name
    file.write_bytes(data)
    return file


def index_settings() -> tuple[str, str | None]:
    """The address of the index and the file of its certificate authority, as pip would read them."""
    found: dict[str, str] = {}
    explicit = os.environ.get("PIP_CONFIG_FILE")
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    if explicit != os.devnull:
        for file in [*files, *([Path(explicit)] if explicit else [])]:
            found |= _read_config(file)
    index = os.environ.get("PIP_INDEX_URL") or found.get("index-url") or PYPI
    certificate = os.environ.get("PIP_CERT") or found.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE")
    return index, certificate or None


def _read_config(file: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise BootstrapError(f"{file} cannot be read: {error}") from error
    merged: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            merged |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return merged


def links(text: str, kind: str, address: str) -> list[tuple[str, str, str]]:
    """Address, SHA-256 and Python requirement of each file on the index page (PEP 503, PEP 691)."""
    if "json" in kind:
        return [
            (
                urllib.parse.urljoin(address, item["url"]),
                item.get("hashes", {}).get("sha256", ""),
                item.get("requires-python") or "",
            )
            for item in json.loads(text)["files"]
            if not item.get("yanked")
        ]
    parser = _Anchors()
    parser.feed(text)
    found = []
    for attributes in parser.anchors:
        if "data-yanked" in attributes or not attributes.get("href"):
            continue
        url, _, fragment = urllib.parse.urljoin(address, attributes["href"] or "").partition("#")
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        found.append((url, digest, attributes.get("data-requires-python") or ""))
    return found


class _Anchors(html.parser.HTMLParser):
    """Collects the attributes of the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.anchors.append(dict(attrs))


def newest(found: list[tuple[str, str, str]]) -> tuple[str, str]:
    """Address and hash of the newest pip among them that this Python can run."""
    versions = []
    for url, digest, requires in found:
        match = WHEEL.fullmatch(Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name)
        if match and _suits(requires):
            versions.append((tuple(map(int, match[1].split("."))), url, digest))
    if not versions:
        raise BootstrapError("the package index has no pip for this Python")
    _, url, digest = max(versions)
    return url, digest


def _suits(requires: str) -> bool:
    lowest = re.search(r">=\s*(\d+)\.(\d+)", requires)
    return lowest is None or (int(lowest[1]), int(lowest[2])) <= sys.version_info[:2]


def _get(url: str, context: ssl.SSLContext) -> tuple[bytes, str, str]:
    """Body, content type and final address of what is at ``url``, which may hold a name and a password."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": ACCEPT}
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    if parts.scheme not in ("http", "https"):
        raise BootstrapError(f"{_shown(url)} is not an address of a package index")
    request = urllib.request.Request(urllib.parse.urlunsplit(parts), headers=headers)  # noqa: S310  Only http and https.
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as answer:  # noqa: S310  As above.
            return answer.read(), answer.headers.get("Content-Type", ""), answer.geturl()
    except (urllib.error.URLError, OSError) as error:
        raise BootstrapError(
            f"pip cannot be fetched from {_shown(url)}: {error}. Install python3-venv (apt-get install python3-venv), "
            "or name a package index that can be reached in PIP_INDEX_URL"
        ) from error


def _shown(url: str) -> str:
    """The address without name and password."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _venv(folder: Path, *options: str) -> bool:
    command = [sys.executable, "-m", "venv", "--clear", *options, str(folder)]
    return _done(command).returncode == 0


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    return _done([str(python), "-m", "pip", "--version"]).returncode == 0


def _run(command: list[str]) -> None:
    done = _done(command)
    if done.returncode:
        raise BootstrapError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{command[0]} failed")


def _done(command: list[str]) -> subprocess.CompletedProcess[str]:
    """The program when it has ended; what it is was written here, by no stranger."""
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  Never through a shell.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
