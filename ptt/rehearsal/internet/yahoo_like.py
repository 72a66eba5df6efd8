"""A server with Yahoo's manners (specs/receivers.md section 3): unknown users are told after the data only.

Addresses that it minds are deferred by 421 [TSS04] and, if they go on, refused for good by 553 [TSS09]. The
domains of the envelope sender and of From have to be there. A connection ends after some messages.
"""

from collections.abc import Sequence

from ptt.protocol.dns.lookup import Lookup, Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.manners import NO_RELAY, RECIPIENT_OK, SENDER_OK, Caller, Manners, Seen

PATIENCE = 3  # deferrals of an address before it is refused for good
PER_CONNECTION = 20


class YahooLike(Manners):
    """See the module. ``deferred``: addresses that it minds, and how often they have been told so."""

    def __init__(self, domains: Sequence[Name], users: Sequence[str], lookup: Lookup) -> None:
        super().__init__(domains, users, lookup)
        self.deferred: dict[str, int] = {}

    async def sender(self, caller: Caller, reverse_path: Mailbox | None) -> Reply:
        """The address and the domain of the sender."""
        address = caller.address
        if address in self.deferred:
            self.deferred[address] += 1
            if self.deferred[address] > PATIENCE:
                text = f"[TSS09] All messages from {address} will be permanently deferred."
                return Reply(553, "5.7.2", f"{text} Retrying will NOT succeed.")
            text = f"[TSS04] Messages from {address} temporarily deferred due to unexpected volume"
            return Reply(421, "4.7.0", f"{text} or user complaints - 4.16.55.1")
        if caller.messages >= PER_CONNECTION:
            return Reply(421, None, "Max message per connection reached, closing transmission channel")
        if reverse_path is not None and isinstance(reverse_path.domain, Name):
            found = await self.lookup.query(reverse_path.domain, RecordType.MX)
            if found.rcode is Rcode.NXDOMAIN:
                return Reply(554, "5.1.8", "unresolvable RFC.5321 from domain")
        return SENDER_OK

    async def recipient(
        self, caller: Caller, reverse_path: Mailbox | None, mailbox: Mailbox, others: Sequence[Mailbox]
    ) -> Reply:
        """Whoever it is."""
        del caller, reverse_path, others
        return RECIPIENT_OK if mailbox.domain in self.domains else NO_RELAY

    async def message(self, caller: Caller, seen: Seen) -> Reply | None:
        """Who is unknown, and what is not authenticated."""
        del caller
        nobody = [user for user in seen.users if user not in self.users]
        if nobody:
            domain = self.domains[0]
            text = f"delivery error: dd This user doesn't have a {domain} account ({nobody[0]}@{domain}) [0]"
            return Reply(554, None, text)
        if seen.fails_dmarc or not (seen.has_spf or seen.has_dkim):
            return Reply(554, "5.7.9", "Message not accepted for policy reasons.")
        return None
