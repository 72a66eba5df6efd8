"""All connections of one listener: makes them, bounds their number, drains them.

Whatever a session raises is a bug of ours: 451 4.3.0 to the peer, the traceback to the journal. Strangers
beyond what ``crowd`` admits hear 421 4.7.0; under implicit TLS they are closed without a handshake, which is
what a crowd would make us pay for.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ptt.net.crowd import Crowd
from ptt.net.smtp_server import ServerConnection
from ptt.net.unit import Unit
from ptt.net.world import Acceptor, TlsFacts, TlsRole
from ptt.protocol.smtp.events import ServerSettings
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import Reply

FULL_SERVICE_WHILE_DRAINING_S = 120.0  # DESIGN section 9
LAST_WORD_S = 0.2  # between polls of a drain that waits for sessions to end

BUG = Reply(
    451, "4.3.0", "Something failed here, not in your mail. Nothing was lost: please try again later."
)
FAULT = Reply(421, "4.3.0", "Something failed here, not in your mail. Please connect again later.")
LEAVING = Reply(421, "4.3.2", "This server is being replaced. Please connect again.")
TOO_MANY = Reply(421, "4.7.0", "Too many connections, please try again later.")

Session = Callable[[ServerConnection], Awaitable[None]]


class SmtpService:
    """All connections of one listener: makes them, bounds their number, drains them.

    ``tls_role`` gives the present server's side (certificates turn over in service); ``is_welcome`` judges
    the peer's certificate after the handshake (pins).
    """

    def __init__(
        self,
        unit: Unit,
        settings: ServerSettings,
        session: Session,
        tls_role: Callable[[], TlsRole],
        *,
        implicit_tls: bool = False,
        is_welcome: Callable[[TlsFacts], bool] = lambda _facts: True,
        count: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.unit = unit
        self.settings = settings
        self.implicit_tls = implicit_tls
        self.tls_role = tls_role
        self.is_welcome = is_welcome
        self.count = count
        self._session = session
        self._open: dict[ServerConnection, asyncio.Task[None]] = {}
        self._crowd = Crowd()
        self._leaving = False

    @property
    def acceptor(self) -> Acceptor:
        """What serves a listener with this, for ``Life``."""
        return Acceptor(self.factory, self.tls_role if self.implicit_tls else None)

    def factory(self) -> ServerConnection:
        """Make the protocol of a new connection, for ``World.serve``."""
        return ServerConnection(self)

    def opened(self, connection: ServerConnection) -> None:
        """Start the session of a connection that has just been made."""
        address = connection.peer_address
        task = asyncio.ensure_future(self._run(connection, is_admitted=self._crowd.enter(address)))
        self._open[connection] = task

        def ended(_task: asyncio.Task[None]) -> None:
            del self._open[connection]
            self._crowd.leave(address)

        task.add_done_callback(ended)

    @property
    def is_crowded(self) -> bool:
        """Whether places are few, so that nobody is waited for long; our own units always are."""
        return self._crowd.is_dense and self.settings.flavour is Flavour.SMTP

    @property
    def open_connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def drain(self, deadline_s: float) -> None:
        """Let what is open end.

        Full service, then 421 to the next command, then the cap (DESIGN section 9).
        """
        loop_end = self.unit.world.now() + deadline_s
        grace_end = self.unit.world.now() + min(FULL_SERVICE_WHILE_DRAINING_S, deadline_s / 2)
        while self._open and self.unit.world.now() < loop_end:
            if self.unit.world.now() >= grace_end and not self._leaving:
                self._leaving = True
                for connection in list(self._open):
                    connection.dialogue.shut_down(LEAVING)
                    connection.flush()
            await asyncio.wait(self._open.values(), timeout=LAST_WORD_S)
        await self.close()

    async def close(self) -> None:
        """End all sessions now."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, connection: ServerConnection, *, is_admitted: bool) -> None:
        try:
            if not is_admitted:
                self.count("connections_refused")
            if connection.dialogue.tls and not (is_admitted and await connection.upgrade()):
                return
            if not is_admitted or self._leaving:
                connection.dialogue.refuse(LEAVING if self._leaving else TOO_MANY)
                await connection.next_event()
                return
            connection.dialogue.greeting()
            await self._session(connection)
        except asyncio.CancelledError:
            self._apologise(connection, LEAVING, LEAVING)
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a bug becomes a reply
            self._apologise(connection, BUG, FAULT)
            self.count("bugs")
            self.unit.journal.failure("session", error)
        finally:
            connection.flush()
            connection.close()

    @staticmethod
    def _apologise(connection: ServerConnection, answer: Reply, farewell: Reply) -> None:
        """Answer what waits for an answer, else say why we leave."""
        wanted = connection.dialogue.replies_wanted
        if wanted:
            connection.reply(*[answer] * wanted)
        else:
            connection.dismiss(farewell)
