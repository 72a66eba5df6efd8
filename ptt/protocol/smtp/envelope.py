"""MAIL and RCPT: the envelope of a transaction (RFC 5321 §4.1.1.2, §4.1.1.3).

Pipelined RCPT come out as one event. Those that are malformed, or one too many, are answered here, in their
places among the others (RFC 2920 §3.2).
"""

from functools import partial

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import MailParameters, MailReceived, RecipientsReceived
from ptt.protocol.smtp.grammar import split_command
from ptt.protocol.smtp.lines import Input, LineFault
from ptt.protocol.smtp.order import State
from ptt.protocol.smtp.parameters import parse_mail, parse_recipient
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server_session import CLOSING_CODE, Replies, ServerSession, is_verdict

_NEXT_RECIPIENT = b"RCPT "

Slot = Mailbox | Reply  # of a RCPT: to be asked about, or answered already


class Envelope:
    """See the module."""

    def __init__(self, session: ServerSession, incoming: Input) -> None:
        self._session = session
        self._input = incoming

    def mail(self, argument: bytes) -> None:
        """Run MAIL."""
        session = self._session
        settings = session.settings
        if settings.auth_required and session.login is None:
            session.refuse_bad(wording.LOGIN_FIRST)
            return
        session.state = State.MAIL_REFUSED
        parsed = parse_mail(argument, session.offered, tolerant=settings.tolerant)
        if isinstance(parsed, Reply):
            session.refuse_bad(parsed)
        elif parsed.parameters.size is not None and parsed.parameters.size > settings.size_limit:
            session.say_idle(wording.TOO_LARGE)  # RFC 1870 §6.1
        else:
            answered = partial(self._mail_answered, parsed.parameters)
            session.ask(MailReceived(parsed.reverse_path, parsed.parameters), answered, is_verdict)

    def _mail_answered(self, parameters: MailParameters, replies: Replies) -> None:
        (reply,) = replies
        if reply.is_completed:
            self._session.state = State.MAIL
            self._session.parameters = parameters
            self._session.restore_patience(fully=False)
        self._session.say_verdict(reply)

    def recipients(self, argument: bytes) -> None:
        """Run RCPT, and all that follow it directly and have come whole."""
        session = self._session
        slots: list[Slot] = []
        asked: list[Mailbox] = []
        line: bytes | LineFault | None = _NEXT_RECIPIENT + argument
        while line is not None:
            slot = self._recipient(line)
            slots.append(slot)
            if isinstance(slot, Mailbox):
                asked.append(slot)
            elif slot.code == CLOSING_CODE:
                break
            if asked and len(session.recipients) + len(asked) >= session.settings.max_recipients:
                break  # whether the next one is one too many is only known after the answer
            line = self._input.take_line() if self._input.starts_with(_NEXT_RECIPIENT) else None
        if asked:
            answered = partial(self._answered, slots)
            session.ask(RecipientsReceived(tuple(asked)), answered, is_verdict, len(asked))
        else:
            self._answered(slots, ())

    def _recipient(self, line: bytes | LineFault) -> Slot:
        session = self._session
        settings = session.settings
        if isinstance(line, LineFault):
            return session.count_bad(wording.LINE_FAULT[line])
        if len(session.recipients) >= settings.max_recipients:
            return wording.TOO_MANY_RECIPIENTS  # RFC 5321 §4.5.3.1.10 [S10]
        _, argument = split_command(line)
        smtputf8 = session.parameters.smtputf8
        slot = parse_recipient(argument, settings.host_name, smtputf8=smtputf8, tolerant=settings.tolerant)
        return session.count_bad(slot) if isinstance(slot, Reply) else slot

    def _answered(self, slots: list[Slot], replies: Replies) -> None:
        session = self._session
        verdicts = iter(replies)
        for slot in slots:
            if isinstance(slot, Mailbox):
                reply = next(verdicts)
                if reply.is_completed:
                    session.recipients.append(slot)
                    session.state = State.RECIPIENTS
            else:
                reply = slot
            session.say_verdict(reply)
            if session.closing:
                return
