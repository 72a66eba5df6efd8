"""A listening socket that accepts in a thread of its own, for scripted peers."""

import contextlib
import socket
import threading
from collections.abc import Callable


class Accepting:
    """``accepted`` gets each connection and its caller's address, in the order of their coming."""

    def __init__(self, listening: socket.socket, accepted: Callable[[socket.socket, str], None]) -> None:
        self._listening = listening
        self._accepted = accepted
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # else ``accept`` keeps it listening
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, caller = self._listening.accept()
            except OSError:
                return
            self._accepted(connection, caller[0])
