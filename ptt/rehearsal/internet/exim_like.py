"""Stands in for an Exim with sender callouts where none can run (specs/receivers.md section 4).

While RCPT waits it connects to the server of the sender's domain and asks whether the sender is there: MAIL
FROM:<>, RCPT TO:<sender>, QUIT. What it heard of a sender it remembers.
"""

from collections.abc import Sequence

from ptt.net.smtp_client import Lost, open_connection
from ptt.net.world import ConnectFailed, Endpoint, World
from ptt.protocol.dns.lookup import A, Lookup, Mx, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import Mail, Recipient
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.manners import Caller, Manners

STEP_S = 30.0  # Exim's default for each step of a callout
NOT_VERIFIED = Reply(550, None, "Sender verify failed")
NOT_COMPLETED = Reply(451, None, "Could not complete sender verify callout")


class EximLike(Manners):
    """See the module. ``callouts``: what each sender's server said."""

    def __init__(
        self,
        domains: Sequence[Name],
        users: Sequence[str],
        lookup: Lookup,
        world: World,
        host_name: str,
        own_address: str,
    ) -> None:
        super().__init__(domains, users, lookup)
        self.callouts: dict[str, str] = {}
        self._world = world
        self._host_name = host_name
        self._own_address = own_address

    async def recipient(
        self, caller: Caller, reverse_path: Mailbox | None, mailbox: Mailbox, others: Sequence[Mailbox]
    ) -> Reply:
        """Ask back about the sender first."""
        if reverse_path is not None and mailbox.domain in self.domains:
            if str(reverse_path) not in self.callouts:
                self.callouts[str(reverse_path)] = await self._call_out(reverse_path)
            said = self.callouts[str(reverse_path)]
            if not said.startswith("2"):
                self.callouts.pop(str(reverse_path))
                return NOT_VERIFIED if said.startswith("5") else NOT_COMPLETED
        return await super().recipient(caller, reverse_path, mailbox, others)

    async def _call_out(self, sender: Mailbox) -> str:
        server = await self._server_of(sender)
        if server is None:
            return "4 no server"
        connection = await open_connection(
            self._world, Endpoint(server, 25), ClientSettings(), STEP_S, self._own_address
        )
        if isinstance(connection, ConnectFailed):
            return f"4 {connection.reason}"
        try:
            await connection.greeting(STEP_S)
            await connection.hello(self._host_name, STEP_S)
            answered = await connection.ask(Mail(None), Recipient(sender), timeout_s=STEP_S)
            return f"4 {answered.reason}" if isinstance(answered, Lost) else str(answered[-1])
        finally:
            await connection.quit()

    async def _server_of(self, sender: Mailbox) -> str | None:
        if not isinstance(sender.domain, Name):
            return None
        found = (await self.lookup.query(sender.domain, RecordType.MX)).of(Mx)
        for each in sorted(found, key=lambda mx: mx.preference):
            for address in (await self.lookup.query(each.exchange, RecordType.A)).of(A):
                return str(address.address)
        return None
