"""From one verdict a recipient to the one reply that a mail program gets (RFC 5321 §4.2.5).

All delivered: 250. Any temporary or unknown: 451, and the ledger keeps a retry from doubling what was
delivered. Else 554. In a mixed reply the first and the last line say who got it and who did not: mutt shows
the last, Thunderbird joins all.
"""

from collections.abc import Sequence

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply

MAX_NAMED = 5  # addresses named in a line before "and N more": a line has 512 octets


def merge(recipients: Sequence[Mailbox], verdicts: Sequence[Reply], trace_id: str) -> Reply:
    """The one reply after the data; ``verdicts`` in the order of ``recipients``, at least one."""
    pairs = list(zip(recipients, verdicts, strict=True))
    delivered = [mailbox for mailbox, reply in pairs if reply.is_completed]
    failed = [(mailbox, reply) for mailbox, reply in pairs if not reply.is_completed]
    if not failed:
        if len(pairs) == 1:
            return Reply(250, "2.0.0", *pairs[0][1].text[:-1], f"{pairs[0][1].text[-1]} [{trace_id}]")
        return Reply(250, "2.0.0", f"Delivered to all {len(pairs)} recipients [{trace_id}]")
    if len(pairs) == 1:
        return failed[0][1]
    temporary = any(not reply.is_permanent for _, reply in failed)
    summary = _summary(delivered, [mailbox for mailbox, _ in failed], temporary=temporary)
    reasons = [f"<{_shown(mailbox)}>: {reply.code} {reply.text[0]}" for mailbox, reply in failed]
    if temporary:
        return Reply(451, "4.3.0", summary, *reasons, summary)
    return Reply(554, "5.0.0", summary, *reasons, summary)


def _summary(delivered: Sequence[Mailbox], failed: Sequence[Mailbox], *, temporary: bool) -> str:
    advice = "please send again later, nobody gets it twice" if temporary else "sending again will not help"
    got = f"Delivered to {_listed(delivered)}; not" if delivered else "Not"
    return f"{got} delivered to {_listed(failed)}: {advice}."


def _listed(mailboxes: Sequence[Mailbox]) -> str:
    named = ", ".join(f"<{_shown(mailbox)}>" for mailbox in mailboxes[:MAX_NAMED])
    rest = len(mailboxes) - MAX_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def _shown(mailbox: Mailbox) -> str:
    text = mailbox.wire.decode("utf-8", "replace")
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
