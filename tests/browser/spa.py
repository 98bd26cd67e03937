"""The example client of `examples/spa`: built once, and served as a host would serve it, on an origin of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.nodejs import npm_ci, run_node

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "spa"
DOCUMENT = ROOT / "docs" / "openapi.json"
#: Where Vite puts it, and what `development.ini` lets in.
PORT = 5173
_BUILD_SECONDS = 120


def build() -> Path:
    """The built application, made by the commands of its README unless it is there for these very files already."""
    npm_ci(FOLDER)
    built = FOLDER / "dist"
    # Inside: every other build empties the folder, so it stands for what is there now.
    stamp = built / f".built-{_fingerprint()}"
    with _alone("build"):
        if not stamp.exists():
            done = run_node(["npm", "run", "build"], FOLDER, _BUILD_SECONDS)
            assert done.returncode == 0, f"npm run build failed:\n{done.stdout}{done.stderr}"
            stamp.touch()
    return built


def _fingerprint() -> str:
    """What the application is built from: its own files, and the document that its client is generated from."""
    made = [FOLDER / "node_modules", FOLDER / "dist", FOLDER / "src" / "api" / "generated"]
    folders = [FOLDER, FOLDER / "public", *(FOLDER / "src").rglob("*"), FOLDER / "src"]
    own = [folder for folder in folders if folder.is_dir() and not any(folder.is_relative_to(one) for one in made)]
    files = sorted(file for folder in own for file in folder.iterdir() if file.is_file())
    digest = hashlib.sha256()
    for file in [*files, DOCUMENT]:
        digest.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass
class ServedSpa:
    """The application on an origin."""

    origin: str
    #: The site that it talks to; a page that is opened later talks to the one that is set here then.
    site: str


class _Handler(SimpleHTTPRequestHandler):
    """Files, ``config.json`` from memory, and the page for every address of the application."""

    def __init__(self, *args: Any, spa: ServedSpa, **options: Any) -> None:
        self.spa = spa
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/config.json":
            body = json.dumps({"site": self.spa.site}).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if not Path(self.translate_path(path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, site: str, port: int = 0) -> Iterator[ServedSpa]:
    """The built application at ``http://localhost:<port>`` (0: any free one)."""
    spa = ServedSpa("", site)
    try:
        server = ThreadingHTTPServer(("localhost", port), partial(_Handler, spa=spa, directory=str(folder)))
    except OSError as error:
        raise AssertionError(f"port {port} is taken: end what listens there (`npm run dev`?) and try again") from error
    spa.origin = f"http://localhost:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield spa
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served_on_its_port(folder: Path, site: str) -> Iterator[ServedSpa]:
    """The same at http://localhost:5173, which is there once, however many processes share the tests."""
    with _alone(f"port-{PORT}"), served(folder, site, PORT) as spa:
        yield spa


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """Only one process of this user at a time; the lock goes with a process that dies."""
    with (Path(tempfile.gettempdir()) / f"mealshare-spa-{os.getuid()}-{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
