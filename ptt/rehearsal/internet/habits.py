"""How programs wait for the answer to a message, and what they do without one (specs/clients.md).

The danger is always the same: a program gives up and sends again while its first attempt is still under
way, and the recipient has two copies. Some renew Date, Message-ID and the boundaries of parts each time.
Times are in seconds as the programs keep them; a rehearsal shortens all of them alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ptt.protocol.mail.address import Mailbox
from ptt.rehearsal.internet.people import Sender, Told

Draft = Callable[[int], bytes]
"""The message of the n-th attempt, from 1."""


@dataclass(frozen=True, slots=True)
class Habit:
    """One program. ``attempts``: how often it sends at most, by itself or by who sits before it."""

    program: str
    patience_s: float
    attempts: int
    renews_date: bool = False
    renews_message_id: bool = False
    changes_address: bool = False
    """It may come from another address of its own each time."""


CLIENTS = (
    Habit("Ruby mail", 5, 3),
    Habit("Nextcloud Mail", 20, 3, renews_date=True, renews_message_id=True),
    Habit("Swiftmailer", 30, 2),
    Habit("MailCore", 30, 2, renews_date=True),
    Habit("Outlook classic", 60, 4),
    Habit("Delta Chat", 60, 6),
    Habit("FairEmail", 80, 3, renews_date=True, renews_message_id=True),
    Habit("Thunderbird, by hand", 100, 2, renews_date=True, renews_message_id=True),
    Habit("K-9, by hand", 300, 2),
)
SERVERS = (
    Habit("KumoMTA", 60, 4),
    Habit("OpenSMTPD", 300, 3),
    Habit("Postfix", 600, 3),
    Habit("Gmail", 600, 3, changes_address=True),
    Habit("Exchange Online", 600, 3, changes_address=True),
)


async def bring(
    habit: Habit, senders: list[Sender], author: Mailbox, recipient: Mailbox, draft: Draft, scale: float
) -> list[Told]:
    """Send as the program does, until it is answered by yes or no; what it was told each time.

    ``senders``: its addresses, of which one that changes them takes the next each time. ``scale``: a second
    of the program's lasts so long.
    """
    heard: list[Told] = []
    for number in range(habit.attempts):
        sender = senders[number % len(senders)] if habit.changes_address else senders[0]
        patient = replace(sender, patience_s=habit.patience_s * scale)
        heard.append(await patient.send(author, [recipient], draft(number + 1)))
        if heard[-1].is_accepted or (heard[-1].reply is not None and heard[-1].reply.is_permanent):
            break
    return heard
