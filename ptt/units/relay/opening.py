"""How a transaction begins: with the rights of who calls [R12], as one of our users' or as a stranger's.

A login is believed of the signer only. Without the keys that make our envelope senders nothing of a stranger
can be forwarded, and without a user list nobody is known: that is temporary, and an alarm.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.events import MailReceived
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.delivery import Delivery, Means
from ptt.units.relay.inbound import InboundDelivery, Memory, TraceField
from ptt.units.relay.rights import NOT_ALLOWED, Rights, rights_of
from ptt.units.relay.routing import Directory, Router
from ptt.units.relay.transaction import Transaction
from ptt.units.relay.wording import wording_for, wording_for_stranger

NO_KEYS = Reply(451, "4.3.0", "Mail cannot be forwarded at this moment. Please try again later.")
NO_KEYS_ALARM = "there are no srs_keys: mail from the Internet is answered 451"
NO_LIST_ALARM = "there is no user list: mail to our domains is answered 451"


@dataclass(slots=True)
class Opening:
    """Opens all transactions of a relay. ``shared`` None: the keys are missing."""

    means: Means
    directory: Directory
    shared: Memory | None
    alarm: Callable[[str], None]
    has_smarthost: bool = False
    _alarmed: set[str] = field(default_factory=set)

    def open(self, caller: str | None, mail: MailReceived, received: TraceField) -> Delivery | Reply:
        """Begin what MAIL asks for, or refuse it."""
        match rights_of(caller):
            case None:
                return NOT_ALLOWED
            case Rights.ANYBODY:
                return self._from_user(mail, received)
            case Rights.OURS:
                return self._from_stranger(mail, received)

    def _from_user(self, mail: MailReceived, received: TraceField) -> Delivery:
        may_be_clear = self.directory.may_send_in_clear(mail.parameters.login)
        router = self._router(mail.reverse_path, Rights.ANYBODY, may_be_clear=may_be_clear)
        return Delivery(self.means, mail, Transaction(router, wording_for), received)

    def _from_stranger(self, mail: MailReceived, received: TraceField) -> Delivery | Reply:
        if not self.directory.users.users:
            self._alarm_once(NO_LIST_ALARM)
        if self.shared is None:
            self._alarm_once(NO_KEYS_ALARM)
            return NO_KEYS
        router = self._router(mail.reverse_path, Rights.OURS, may_be_clear=True)
        transaction = Transaction(router, wording_for_stranger)
        return InboundDelivery(self.means, mail, transaction, received, self.shared)

    def _router(self, reverse_path: Mailbox | None, rights: Rights, *, may_be_clear: bool) -> Router:
        def way_back(recipient: Mailbox) -> Mailbox | Reply | None:
            if self.shared is None or not self.shared.bounces.domains.has(recipient):
                return None
            return self.shared.bounces.lead_back(recipient, reverse_path, self.means.unix_time())

        return Router(
            self.directory,
            reverse_path=reverse_path,
            sender_may_be_clear=may_be_clear,
            to_smarthost=self.has_smarthost,
            rights=rights,
            way_back=way_back,
        )

    def _alarm_once(self, what: str) -> None:
        if what not in self._alarmed:
            self._alarmed.add(what)
            self.alarm(what)
