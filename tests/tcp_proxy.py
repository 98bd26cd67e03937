"""A door in front of a server that a test may close, open, and leave ajar: connections then hang."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Door:
    """Listens on a port of its own and hands everything on to ``(host, port)``."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._frozen = threading.Event()
        self.port = 0
        self.open()

    def open(self) -> None:
        """Let connections through, on the same port as ever."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Cut all connections and refuse others."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # A thread waits in accept; only shutdown wakes it.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections are taken, and nothing goes through: worse than a door that is shut."""
        self._frozen.set()
        try:
            yield
        finally:
            self._frozen.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            pair = {client: server, server: client}
            with self._lock:
                self._connections |= set(pair)
            with contextlib.suppress(OSError):
                self._pass_on(pair)
            with self._lock:
                self._connections -= set(pair)

    def _pass_on(self, pair: dict[socket.socket, socket.socket]) -> None:
        while True:
            ready, _, _ = select.select(list(pair), [], [], 0.1)
            if self._frozen.is_set():
                continue
            for one in ready:
                data = one.recv(65536)
                if not data:
                    return
                pair[one].sendall(data)
