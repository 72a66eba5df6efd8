"""From one verdict a recipient to the replies that a mail server gets (RFC 5321 §4.2.5).

A server takes one reply for all its recipients. So: all delivered 250, all refused the first refusal, and
anything mixed or open 451, never 550: the sender's retry is split by the relay until each transaction ends in
one true answer [R21]. With PRDR each recipient has its own, and the same rule makes the one that ends it.
"""

from collections.abc import Sequence

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply

MIXED = "Not every recipient has the message yet. Please send it again, nobody gets it twice."


def merge(verdicts: Sequence[Reply], trace_id: str) -> Reply:
    """The one reply after the data, from at least one verdict."""
    if all(verdict.is_completed for verdict in verdicts):
        return Reply(250, "2.0.0", f"Delivered [{trace_id}]")
    if all(verdict.is_permanent for verdict in verdicts) or len(verdicts) == 1:
        return verdicts[0]
    temporary = [verdict for verdict in verdicts if not verdict.is_completed and not verdict.is_permanent]
    if len(temporary) == len(verdicts):
        return temporary[0]
    return Reply(451, "4.5.3", MIXED)


def replies(
    recipients: Sequence[Mailbox], verdicts: Sequence[Reply], trace_id: str, wanted: int
) -> tuple[Reply, ...]:
    """As many replies as the dialogue wants: one, or with PRDR one a recipient and one for all."""
    merged = merge(verdicts, trace_id)
    return (merged,) if wanted == 1 else (*verdicts[: len(recipients)], merged)
