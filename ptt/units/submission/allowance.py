"""What one login may send in a day, so that a stolen password is no loudspeaker for long [C7].

Two bounds, over the last 24 hours: messages that were delivered, and recipients that the login has not
written to before; a thief needs many strangers, a person hardly any. Beyond, the answer is 451 and the
operator is told once; mail to those known already goes on. Pure and in memory: a new generation begins anew,
which allows a day's worth more, never less. Times are in seconds of any clock.
"""

from collections import deque
from dataclasses import dataclass, field

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply

DAY_S = 86_400.0
MESSAGES_A_DAY = 1000  # what a person sends in a busy month
NEW_RECIPIENTS_A_DAY = 200  # a wedding's invitations still go out in one evening
MAX_REMEMBERED = 10_000  # recipients of one login, some 1.5 MB; the one not written to for longest goes first

TOO_MANY_MESSAGES = Reply(
    451, "4.7.1", "More messages than this login may send in a day. Try again tomorrow, or ask your operator."
)
TOO_MANY_NEW = Reply(
    451,
    "4.7.1",
    "More new recipients than this login may have in a day. Try again tomorrow, or ask your operator.",
)


@dataclass(slots=True)
class _Sent:
    """What one login has sent."""

    messages: deque[float] = field(default_factory=deque)
    recipients: dict[Mailbox, None] = field(default_factory=dict)
    """In the order in which they were last written to."""
    new: deque[float] = field(default_factory=deque)
    told_at: float | None = None


@dataclass(slots=True)
class Allowance:
    """All logins; each is named in its one form."""

    messages_a_day: int = MESSAGES_A_DAY
    new_recipients_a_day: int = NEW_RECIPIENTS_A_DAY
    _logins: dict[str, _Sent] = field(default_factory=dict)

    def may_send(self, login: str, now: float) -> bool:
        """Whether a further message may begin."""
        return len(_of_last_day(self._of(login).messages, now)) < self.messages_a_day

    def has_sent(self, login: str, now: float) -> None:
        """A message was delivered."""
        self._of(login).messages.append(now)

    def may_write_to(self, login: str, recipient: Mailbox, now: float) -> bool:
        """Whether this recipient may be asked; from now on it is known to the login."""
        sent = self._of(login)
        is_new = recipient not in sent.recipients
        if is_new:
            if len(_of_last_day(sent.new, now)) >= self.new_recipients_a_day:
                return False
            sent.new.append(now)
        sent.recipients.pop(recipient, None)
        sent.recipients[recipient] = None
        if len(sent.recipients) > MAX_REMEMBERED:
            del sent.recipients[next(iter(sent.recipients))]
        return True

    def is_to_be_told(self, login: str, now: float) -> bool:
        """Whether the operator has not heard of this login within a day; asking is telling."""
        sent = self._of(login)
        if sent.told_at is not None and now - sent.told_at < DAY_S:
            return False
        sent.told_at = now
        return True

    def _of(self, login: str) -> _Sent:
        return self._logins.setdefault(login, _Sent())


def _of_last_day(times: deque[float], now: float) -> deque[float]:
    while times and now - times[0] >= DAY_S:
        times.popleft()
    return times
