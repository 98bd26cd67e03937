"""What uWSGI loads (deploy/uwsgi.ini): the application of ``MEALSHARE_CONFIG``, or of ``production.ini`` in this folder."""

import uwsgi

from mealshare.wsgi import load

_served = load()
_served.before_fork()
application = _served.application


def _start():
    # Called in each process that serves, once it has been made.
    uwsgi.atexit = _served.start()


uwsgi.post_fork_hook = _start
