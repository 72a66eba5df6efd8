"""One mail program's connection: login, envelope, message, one true answer.

The order of things is the dialogue's; what is decided here is who may, what goes on to the signer, and when
the answer is given: after everybody behind us has answered, never before. A message above 1 MB is passed on
while it comes in; below, it is held until its end, so that the signer gets it in one write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from ptt.net.deadlines import STREAM_ABOVE_OCTETS
from ptt.net.mail_session import MailSession
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.transactions import Transaction, Way, new_trace_id, received_field
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import split_header
from ptt.protocol.smtp.events import (
    LoginAttempted,
    LoginRefused,
    MailReceived,
    ScramFinished,
    ScramStarted,
    ServerEvent,
)
from ptt.protocol.smtp.reply import Reply
from ptt.units.submission.allowance import TOO_MANY_MESSAGES, TOO_MANY_NEW, Allowance
from ptt.units.submission.guessing import TOO_MANY, Guessing
from ptt.units.submission.logins import Directory
from ptt.units.submission.preparation import MESSAGE_ID_RANDOM_OCTETS, foreign_reverse_path, prepare
from ptt.units.submission.settings import SubmissionSettings
from ptt.units.submission.verdict import merge

SCRAM_NONCE_OCTETS = 18  # RFC 5802 §5.1 asks for randomness, not for a length: 144 bits
MAX_CHECKS = 16  # logins that wait for one of two workers: at 25 ms each a fifth of a second

NOWHERE = IPv4Address(0)  # of a peer that was gone before it could be asked
WELCOME = Reply(235, "2.7.0", "Welcome.")
WRONG_LOGIN = Reply(535, "5.7.8", "Wrong user name or password.")
BUSY = Reply(454, "4.7.0", "Too many logins at this moment, please try again.")
NOT_KNOWN = Reply(454, "4.7.0", "Passwords cannot be checked at this moment. Please try again later.")


@dataclass(slots=True)
class Users:
    """Who may log in, how many logins are being checked in this unit, who guessed and who sent lately."""

    directory: Directory
    allowance: Allowance
    checks: int = 0
    guessing: Guessing = field(default_factory=Guessing)


class SubmissionSession(MailSession):
    """See the module."""

    def __init__(
        self, connection: ServerConnection, way: Way, settings: SubmissionSettings, users: Users
    ) -> None:
        super().__init__(connection, way)
        self._settings = settings
        self._users = users
        self._is_prepared = False

    async def other(self, event: ServerEvent) -> None:
        """Log in."""
        match event:
            case LoginAttempted():
                self.connection.reply(await self._login(event))
            case ScramStarted(login):
                self._start_scram(login)
            case ScramFinished(login):
                self._logged_in(login)
                self.connection.reply(WELCOME)
            case LoginRefused(login):
                self._refused(login or "")
            case _:
                pass

    async def _login(self, attempt: LoginAttempted) -> Reply:
        """Check a password in a worker; unknown users cost the same."""
        if self._users.directory.is_in_doubt(attempt.login):
            return NOT_KNOWN
        if not self._may_try(attempt.login):
            return TOO_MANY
        if self._users.checks >= MAX_CHECKS:
            return BUSY
        self._users.checks += 1
        try:
            right = await self.world.run_in_worker(
                self._users.directory.check, attempt.login, attempt.password, attempt.authorization
            )
        finally:
            self._users.checks -= 1
        if right:
            self._logged_in(attempt.login)
            return WELCOME
        self._refused(attempt.login)
        return WRONG_LOGIN

    def _start_scram(self, login: str) -> None:
        if not self._may_try(login):
            self.connection.reply(TOO_MANY)
            return
        nonce = self.world.random_bytes(SCRAM_NONCE_OCTETS).hex()
        self.connection.dialogue.provide_scram(self._users.directory.scram(login), nonce)
        self.connection.flush()

    def _may_try(self, login: str) -> bool:
        may = self._users.guessing.may_try(self._address, self._canonical(login), self.world.now())
        if not may:
            self.way.counters.count("logins_too_many")
        return may

    def _logged_in(self, login: str) -> None:
        self.way.counters.count("logins")
        self._users.guessing.succeeded(self._address, self._canonical(login), self.world.now())

    def _refused(self, login: str) -> None:
        self.way.counters.count("logins_refused")
        self._users.guessing.failed(self._address, self._canonical(login), self.world.now())

    def _canonical(self, login: str) -> str:
        return self._users.directory.canonical(login)

    @property
    def _address(self) -> IPv4Address | IPv6Address:
        return self.connection.peer_address or NOWHERE

    async def begin(self, event: MailReceived) -> Transaction | Reply:
        """The envelope's sender must be the login's [S8]."""
        login, directory = self._login_name, self._users.directory
        if event.reverse_path is not None and not directory.may_use(login, event.reverse_path):
            return foreign_reverse_path(event.reverse_path)
        if not self._users.allowance.may_send(self._user, self.world.now()):
            return self._too_many(TOO_MANY_MESSAGES, "messages")
        # Our fields make the message larger: the declared size is no longer true.
        parameters = replace(
            event.parameters,
            size=None,
            prdr=False,
            trace_id=new_trace_id(self.world),
            login=directory.canonical(login),
        )
        self._is_prepared = False
        return self.make_transaction(event, parameters)

    async def ask(self, transaction: Transaction, recipients: Sequence[Mailbox]) -> Sequence[Reply] | Closed:
        """Ask the signer about those that the login may write to."""
        allowance, user, now = self._users.allowance, self._user, self.world.now()
        allowed = [each for each in recipients if allowance.may_write_to(user, each, now)]
        if len(allowed) == len(recipients):
            return await super().ask(transaction, recipients)
        refusal = self._too_many(TOO_MANY_NEW, "new recipients")
        replies = await super().ask(transaction, allowed) if allowed else ()
        if isinstance(replies, Closed):
            return replies
        answers = dict(zip(allowed, replies, strict=True))
        return [answers.get(each, refusal) for each in recipients]

    async def received(self, transaction: Transaction, data: bytes) -> None:
        """Hold it; above the limit pass it on while it comes in."""
        transaction.hold(data)
        if transaction.refusal is None and transaction.size > STREAM_ABOVE_OCTETS:
            await self._pass_on(transaction, last=False)

    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        """Pass on what is held, wait for the verdicts, make them one answer."""
        await self._pass_on(transaction, last=True)
        if transaction.refusal is not None:
            return ()
        verdicts = await transaction.forwarding.verdicts(len(transaction.recipients), self.left_s)
        answer = merge(transaction.recipients, verdicts, transaction.trace_id)
        if answer.is_completed:
            self._users.allowance.has_sent(self._user, self.world.now())
        return (answer,)

    def _too_many(self, refusal: Reply, of_what: str) -> Reply:
        """Tell the operator, who ends a stolen login by a commit."""
        self.way.counters.count("allowance_refusals")
        if self._users.allowance.is_to_be_told(self._user, self.world.now()):
            self.way.unit.journal.alarm(f"the login {self._user} sends more {of_what} a day than it may")
        return refusal

    async def _pass_on(self, transaction: Transaction, *, last: bool) -> None:
        """Write what is held to the signer, once the header was judged; a refusal is kept for the end."""
        additions: Sequence[bytes] = ()
        if not self._is_prepared:
            prepared = self._prepare(transaction)
            if isinstance(prepared, Reply):
                transaction.refuse(prepared)
                return
            self._is_prepared, additions = True, prepared
        # The signer's trouble comes out with the verdicts; the client's data are read to their end anyway.
        # What stays here longer than an answer may take would make the answer late: the end may be behind it.
        left_s = self.connection.data_read_at + self.answer_s - self.world.now()
        message = (*additions, *transaction.held.take())
        await transaction.forwarding.write(message, last=last, timeout_s=left_s)
        transaction.held.drop()

    def _prepare(self, transaction: Transaction) -> Sequence[bytes] | Reply:
        """Our Received and what the header lacks, or the refusal."""
        split = split_header(transaction.held.buffers)
        added = prepare(
            split[0] if isinstance(split, tuple) else split,
            lambda mailbox: self._users.directory.may_use(self._login_name, mailbox),
            now=self.world.wall_time(),
            random=self.world.random_bytes(MESSAGE_ID_RANDOM_OCTETS),
            domain=self._settings.domain_names[0],
        )
        if isinstance(added, Reply):
            return added
        received = received_field(
            self.way, self.connection, transaction, hide_client=self._settings.hide_client
        )
        return (received, *added.fields)

    @property
    def _user(self) -> str:
        """The login in its one form."""
        return self._canonical(self._login_name)

    @property
    def _login_name(self) -> str:
        return self.connection.dialogue.login or ""
