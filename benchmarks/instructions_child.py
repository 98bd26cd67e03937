"""What `benchmarks.instructions` runs, under valgrind: it knows MealShare's addresses and nothing of this folder.

    python instructions_child.py fill SETTINGS CALLS     makes a site of forty meals, through the API
    python instructions_child.py count SETTINGS CALLS    answers each request so often, between two marks, and that five times

SETTINGS is JSON.  The package is imported from wherever PYTHONPATH says, so it can be that of another commit.  The mark
is a call of getloadavg(3), before which callgrind writes down what it has counted and begins at zero.  Counting itself
is switched on after the start, which would take most of the time otherwise.
"""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import time
from typing import Any

MEALS = 40
#: How often each request is counted anew.
SEGMENTS = 5
NAME, PASSWORD = "mei", "correct horse battery staple 1"
MEAL = {
    "food": "Mapo tofu", "note": "Hot enough. #tofu #sichuan", "eaten_at": "2026-01-20T12:30:00+08:00",
    "place": {"name": "Old Chen", "city": "Chengdu", "country_code": "CN"}, "diets": ["halal"],
    "allergens": {"contains": ["soybeans"]}, "tags": ["noodles"],
}  # fmt: skip


def ask(app: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One WSGI call."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.7",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False, "wsgi.errors": sys.stderr, "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)), **({"CONTENT_TYPE": "application/json"} if body else {}), **headers,
    }  # fmt: skip
    told: list[Any] = []
    parts = app(environ, lambda status, headers, _error=None: told.extend((status, headers)))
    content = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return int(told[0][:3]), dict(told[1]), content


def send(app: Any, path: str, value: Any, **headers: str) -> Any:
    """A POST that must succeed."""
    status, _, body = ask(app, "POST", path, json.dumps(value).encode(), **headers)
    if status >= 300:
        raise RuntimeError(f"{path}: {status} {body[:300]!r}")
    return json.loads(body)


def sign_in(app: Any) -> dict[str, str]:
    """The header of the one person of the site."""
    token = send(app, "/api/login", {"username": NAME, "password": PASSWORD})["access_token"]
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def switch_on() -> None:
    """Let callgrind count from now on.  Nothing is waited for in the kernel, where it could not be told."""
    told = subprocess.Popen(["callgrind_control", "-i", "on", str(os.getpid())], stdout=subprocess.DEVNULL)  # noqa: S607
    while told.poll() is None:
        time.sleep(0)
    if told.returncode:
        raise RuntimeError("callgrind_control failed")


def main() -> None:
    """Fill or count."""
    what, settings, calls = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    from mealshare import main as make_application
    from mealshare.core.db.migrate import upgrade

    if what == "fill":
        upgrade(settings["db.url"])
    app = make_application({}, **settings)
    if what == "fill":
        send(app, "/api/users", {"username": NAME, "email": "mei@example.org", "password": PASSWORD})
        token = sign_in(app)
        for _ in range(MEALS):
            send(app, "/api/meals", MEAL, **token)
        # Templates are compiled and kept.
        ask(app, "GET", "/")
        # A password is hashed with much work, and on purpose: that is not for valgrind.
        print(json.dumps(token))
        return
    token = json.loads(os.environ["BENCH_TOKEN"])
    meals = json.loads(ask(app, "GET", "/api/feed/public")[2])
    path, page = f"/api/meals/{meals[0]['id']}", meals[0]["url"].removeprefix("http://localhost")
    etag = ask(app, "GET", path)[1]["ETag"]
    body = json.dumps(MEAL).encode()
    cases = {
        "feed, JSON": (200, ("GET", "/api/feed/public"), {}),
        "feed, HTML": (200, ("GET", "/"), {}),
        "meal, JSON": (200, ("GET", path), {}),
        "meal, page": (200, ("GET", page), {}),
        "not modified": (304, ("GET", path), {"HTTP_IF_NONE_MATCH": etag}),
        "post": (201, ("POST", "/api/meals", body), token),
    }
    for name, (status, arguments, headers) in cases.items():
        for _ in range(3):
            answer = ask(app, *arguments, **headers)
            if answer[0] != status:
                raise RuntimeError(f"{name}: {answer[0]} {answer[2][:300]!r}")
    if "BENCH_COUNT" in os.environ:
        switch_on()
    gc.collect()
    gc.freeze()
    gc.disable()
    for arguments, headers in [(arguments, headers) for _, arguments, headers in cases.values()]:
        ask(app, *arguments, **headers)
        os.getloadavg()
        for _ in range(SEGMENTS):
            for _ in range(calls):
                ask(app, *arguments, **headers)
            os.getloadavg()
    print(json.dumps(list(cases)))


if __name__ == "__main__":
    main()
