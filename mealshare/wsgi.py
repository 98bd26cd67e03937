"""The application under servers other than our own: gunicorn, uWSGI, wsgiref, mod_wsgi.

They load the application, fork or not, and answer requests.  Three things they know nothing of, and `Served` does them:

- what runs beside the requests (the embedded worker, the relay to a broker) starts in each process that serves, never
  in one that only forks: a thread does not survive a fork;
- no connection to a database is open while a process forks, or two processes would talk on one connection;
- who the client is: they believe no proxy, or each in a way of its own.

What only our server can do is missing there: streams end at once, and clients come back by themselves; nothing is shed.

::

    served = Served(paste.deploy.loadapp(...))    # or: load("production.ini")
    served.before_fork()
    stop = served.start()                         # in the process that serves
    served.application                            # what to call
    stop()
"""

from __future__ import annotations

import logging.config
import os
from collections.abc import Callable, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

from pyramid.paster import get_app
from sqlalchemy import Engine
from waitress.proxy_headers import proxy_headers_middleware

from mealshare.core.serving import find_registry, start_all, stop_all
from mealshare.core.settings import BootError
from mealshare.server import ServerSettings, read_settings

CONFIG_VARIABLE = "MEALSHARE_CONFIG"
DEFAULT_FILE = "production.ini"


class Served:
    """An application that is served by somebody else's server."""

    def __init__(self, application: Any, given: Mapping[str, str] | None = None) -> None:
        """``given`` are the settings of our own server, as `server_section` reads them; of them only those about the proxy
        in front are heeded.  Raises BootError for an application that is not MealShare, SettingsError.
        """
        registry = find_registry(application)
        if registry is None or "on_serve" not in registry:
            raise BootError("this is not an application of MealShare")
        self.registry = registry
        settings = read_settings(given or {}, getattr(registry, "settings", None))
        self.application = behind_proxy(application, settings)

    def before_fork(self) -> None:
        """Close all connections to databases: each process opens its own."""
        for value in list(self.registry.values()):
            if isinstance(value, Engine):
                value.dispose()

    def start(self) -> Callable[[], None]:
        """Start what runs beside the requests; gives what stops it again, which waits for a job that runs.

        Once a process.
        """
        stops = start_all(self.registry)

        def stop() -> None:
            self.registry["draining"] = True
            stop_all(stops)
            stops.clear()

        return stop


def behind_proxy(application: Any, settings: ServerSettings) -> Any:
    """``application``, told who the client is by the proxy that ``settings`` name, and by nobody else."""
    return proxy_headers_middleware(
        application,
        trusted_proxy=settings.trusted_proxy or None,
        trusted_proxy_count=settings.trusted_proxy_count,
        trusted_proxy_headers=set(settings.trusted_proxy_headers) if settings.trusted_proxy else set(),
        clear_untrusted=True,
    )


def server_section(ini: Path) -> dict[str, str]:
    """What stands in ``[server:main]`` of the ini file, and of the one that this names (``use = config:other.ini``)."""
    parser = RawConfigParser()
    parser.read(ini, encoding="utf-8")
    if not parser.has_section("server:main"):
        return {}
    section = dict(parser.items("server:main"))
    use = section.pop("use", "")
    below = server_section(ini.parent / use.removeprefix("config:")) if use.startswith("config:") else {}
    return below | section


def config_file() -> Path:
    """The ini file that the environment names (``MEALSHARE_CONFIG``), else ``production.ini`` in this folder."""
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE).resolve()


def load(ini: Path | None = None) -> Served:
    """The application of the ini file (by default `config_file`), with the log as it stands there."""
    file = config_file() if ini is None else ini.resolve()
    if not file.is_file():
        raise BootError(f"there is no {file}: name the ini file in {CONFIG_VARIABLE}")
    parser = RawConfigParser()
    parser.read(file, encoding="utf-8")
    if parser.has_section("loggers"):
        here = {"here": str(file.parent), "__file__": str(file)}
        logging.config.fileConfig(file, here, disable_existing_loggers=False)
    return Served(get_app(str(file)), server_section(file))
