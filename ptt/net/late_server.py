"""A listener that is served once something has come about: until then who calls waits in its backlog.

The kernel takes connections meanwhile and keeps what they say (listen(2)); nothing is refused, nothing costs
us memory, and when the time comes they are served in their order.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from ptt.net.world import Server


class LateServer:
    """A ``Server`` that may not have begun."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        wait: Callable[[], Awaitable[None]],
        serve: Callable[[], Awaitable[Server]],
        handle: object,
    ) -> None:
        self._handle = handle
        self._server: Server | None = None
        self._has_begun = self._is_closed = False
        self._task = group.create_task(self._open(wait, serve))

    def close(self) -> None:
        """Accept no more, or not at all."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        elif not self._has_begun:
            self._task.cancel()
            if isinstance(self._handle, socket.socket):
                self._handle.close()

    async def _open(
        self, wait: Callable[[], Awaitable[None]], serve: Callable[[], Awaitable[Server]]
    ) -> None:
        await wait()
        self._has_begun = True
        self._server = await serve()
        if self._is_closed:  # meanwhile
            self._server.close()
