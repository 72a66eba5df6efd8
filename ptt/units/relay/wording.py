"""Whose words a refusal is passed on in [R9]: the remote's for a foreign recipient, ours for a user of ours.

The words of a target's server name the mailbox behind an address of ours, so who writes to the address gets
the code and a sentence of ours, unless the user's file says ``reveal``. What a server says about us is an
alarm for the operator [R20].
"""

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import Said, Word, describe, is_accepted
from ptt.protocol.smtp.reply import Reply
from ptt.records.users import RelayUser
from ptt.units.relay.outcome import Wording
from ptt.units.relay.refusal_rules import RefusalClass
from ptt.units.relay.refusals import classify, for_submission

REFUSED_BEHIND = "The mailbox behind this address does not take the message."
LATER_BEHIND = "The mailbox behind this address does not take the message now. Please try again later."


def wording_for(user: RelayUser | None) -> Wording:
    """The words for a recipient that is this user of ours, or nobody of ours."""
    return _in_the_servers_words if user is None or user.reveals else _in_our_words


def alarm_of(word: Word) -> str | None:
    """What the operator must see: a server that refuses us, not the message."""
    if not isinstance(word, Said) or is_accepted(word):
        return None
    refusal_class = classify(word.host, word.reply, stage=word.stage)
    return f"refused for what we are: {describe(word)}" if refusal_class is RefusalClass.ABOUT_US else None


def _in_the_servers_words(said: Said, recipient: Mailbox) -> Reply:
    return for_submission(said.host, said.reply, recipient, stage=said.stage)


def _in_our_words(said: Said, recipient: Mailbox) -> Reply:
    worded = _in_the_servers_words(said, recipient)
    return Reply(worded.code, worded.enhanced, REFUSED_BEHIND if worded.is_permanent else LATER_BEHIND)
