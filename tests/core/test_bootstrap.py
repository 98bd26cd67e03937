"""How pip comes into an environment where Python has no ensurepip."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bootstrap.py"


def load() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load()


class _Index(BaseHTTPRequestHandler):
    """A package index with one pip; what it serves is set by the test."""

    pages: ClassVar[dict[str, tuple[str, bytes]]] = {}
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        kind, body = self.pages.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of an index on this machine; pip's own configuration is out of the way."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    _Index.pages, _Index.seen = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


WHEEL = b"a wheel"
DIGEST = hashlib.sha256(WHEEL).hexdigest()
PAGE = f"""<!DOCTYPE html><html><body>
<a href="../../files/pip-24.0-py3-none-any.whl#sha256={"0" * 64}" data-requires-python="&gt;=3.7">old</a>
<a href="../../files/pip-26.1-py3-none-any.whl#sha256={DIGEST}" data-requires-python="&gt;=3.9">new</a>
<a href="../../files/pip-27.0-py3-none-any.whl#sha256={"0" * 64}" data-yanked="">withdrawn</a>
<a href="../../files/pip-28.0-py3-none-any.whl#sha256={"0" * 64}" data-requires-python="&gt;=3.99">not for us</a>
<a href="../../files/pip-29.0b1-py3-none-any.whl#sha256={"0" * 64}">unfinished</a>
<a href="../../files/pip-30.0.tar.gz#sha256={"0" * 64}">source</a>
</body></html>"""


def test_the_newest_that_suits_is_taken_from_an_html_page(
    index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _Index.pages["/simple/pip/"] = ("text/html", PAGE.encode())
    _Index.pages["/files/pip-26.1-py3-none-any.whl"] = ("application/octet-stream", WHEEL)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index}/simple/")
    assert bootstrap.download_pip(tmp_path).read_bytes() == WHEEL


def test_a_json_page_does_as_well_and_the_password_is_sent_but_not_in_the_address(
    index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = {"url": "/files/pip-26.1-py3-none-any.whl", "hashes": {"sha256": DIGEST}, "requires-python": ">=3.9"}
    _Index.pages["/simple/pip/"] = ("application/vnd.pypi.simple.v1+json", json.dumps({"files": [file]}).encode())
    _Index.pages["/files/pip-26.1-py3-none-any.whl"] = ("application/octet-stream", WHEEL)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s%40crt@{index}/simple")
    assert bootstrap.download_pip(tmp_path).name == "pip-26.1-py3-none-any.whl"
    assert _Index.seen[0] == ("/simple/pip/", "Basic bWU6c0BjcnQ=")


def test_a_wrong_hash_is_refused(index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _Index.pages["/simple/pip/"] = ("text/html", PAGE.encode())
    _Index.pages["/files/pip-26.1-py3-none-any.whl"] = ("application/octet-stream", b"another wheel")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index}/simple")
    with pytest.raises(bootstrap.BootstrapError, match="hash"):
        bootstrap.download_pip(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_index_comes_from_pip_conf(index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert bootstrap.index_settings()[0] == "https://mirror.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example/simple")
    assert bootstrap.index_settings()[0] == "https://nearer.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert bootstrap.index_settings()[0] == bootstrap.PYPI


def test_an_index_that_is_away_is_one_clear_line_without_the_password(index: str, tmp_path: Path) -> None:
    environ = os.environ | {"PIP_INDEX_URL": f"http://me:secret@{index}/nothing"}
    command = [sys.executable, str(SCRIPT), "--fetch-pip", str(tmp_path / "venv")]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "python3-venv" in result.stderr
    assert "PIP_INDEX_URL" in result.stderr
    assert "secret" not in result.stderr


def test_an_environment_that_works_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "venv")]
    assert subprocess.run(command, check=False).returncode == 0
    marker = tmp_path / "venv" / "marker"
    marker.touch()
    assert subprocess.run(command, check=False).returncode == 0
    assert marker.exists()
