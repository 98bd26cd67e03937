"""``python ready.py host:port [seconds]``: waits until a process of the site answers that it is ready.

Ends with 0 when it is, and with 1 when the seconds (by default 0: ask once) are over.  Standard library only, so that it
can be the health check of a container and the end of a start.
"""

import http.client
import sys
import time


def is_ready(address):
    """Whether ``/health/ready`` says so."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments):
    """The command."""
    address, seconds = arguments[0], float(arguments[1]) if len(arguments) > 1 else 0.0
    deadline = time.monotonic() + seconds
    while not is_ready(address):
        if time.monotonic() >= deadline:
            return 1
        time.sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
