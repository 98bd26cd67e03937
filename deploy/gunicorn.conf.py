"""gunicorn for MealShare: ``gunicorn --paste production.ini -c deploy/gunicorn.conf.py``.

Settings of MealShare keep their names and places (``MEALSHARE_...``, the ini file, its ``[server:main]`` for the address
to listen on and the proxy in front).  ``WEB_CONCURRENCY`` is the number of processes.

The application is loaded once, before the processes are made, so they share what does not change (``preload_app``).
"""

import gc
import os
from pathlib import Path

from mealshare.wsgi import Served, config_file, server_section

#: The file that --paste names is not known yet where this is read; it is the usual one, or MEALSHARE_CONFIG says which.
_section = server_section(config_file())

bind = os.environ.get("MEALSHARE_SERVER__LISTEN", _section.get("listen", "127.0.0.1:6543")).split()
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
# Requests that one process serves at once; db.pool_size must have a connection for each.
threads = int(os.environ.get("MEALSHARE_SERVER__THREADS", _section.get("threads", "8")))
preload_app = True

# A process that gives no sign of life for so long is killed.  It gives one while it works: requests may last longer.
timeout = 60
# What has begun may end: server.drain_seconds.
graceful_timeout = int(os.environ.get("MEALSHARE_SERVER__DRAIN_SECONDS", _section.get("drain_seconds", "30")))
# More than nginx keeps an unused connection (15 seconds).
keepalive = 20
# A process that has served so many requests is replaced by a new one, as against a leak that nobody has found.
max_requests = 100_000
max_requests_jitter = 10_000

limit_request_line = 8190
limit_request_fields = 100
# What a proxy tells is read by mealshare.wsgi, which also knows what to do with X-Forwarded-For.
forwarded_allow_ips = ""
# Requests are in the log of the site.
accesslog = None
# The heartbeat file: not on a disk, which may be slow.
_memory = Path("/dev", "shm")
worker_tmp_dir = str(_memory) if _memory.is_dir() else None
# No socket that commands the server: signals are enough.
control_socket_disable = True


def when_ready(server):
    """All is loaded and no process has been made: what is there is shared and need not be looked through again."""
    gc.collect()
    gc.freeze()


def pre_fork(server, worker):
    """No connection to a database may be open while a process is made."""
    if server.app.callable is not None:
        Served(server.app.callable).before_fork()


def post_worker_init(worker):
    """In the new process: believe the proxy, and start what runs beside the requests."""
    served = Served(worker.wsgi, server_section(Path(worker.cfg.paste.partition("#")[0])))
    worker.wsgi = served.application
    worker.mealshare_stop = served.start()


def worker_exit(server, worker):
    """Stop it again; the job that runs ends first."""
    stop = getattr(worker, "mealshare_stop", None)
    if stop is not None:
        stop()
