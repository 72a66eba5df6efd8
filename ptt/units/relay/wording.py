"""Whose words a refusal is passed on in [R9]: the remote's for a foreign recipient, ours for a user of ours.

The words of a target's server name the mailbox behind an address of ours, so who writes to the address gets
the code and a sentence of ours, unless the user's file says ``reveal``. A stranger gets ours in any case.
What a server says about us is an alarm for the operator [R20], towards strangers' mail what it says about
our pace too.
"""

from functools import partial

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import Said, Word, describe, is_accepted
from ptt.protocol.smtp.reply import Reply
from ptt.records.users import RelayUser
from ptt.units.relay.outcome import Wording
from ptt.units.relay.refusal_rules import RefusalClass
from ptt.units.relay.refusals import classify, for_stranger, for_submission


def wording_for(user: RelayUser | None) -> Wording:
    """The words for a recipient that is this user of ours, or nobody of ours, when a user of ours sends."""
    return partial(_in_the_servers_words if user is None or user.reveals else _in_our_words, False)


def wording_for_stranger(user: RelayUser | None) -> Wording:
    """The words for a recipient when a stranger sends."""
    return partial(_in_the_servers_words if user is not None and user.reveals else _in_our_words, True)


def about_us(word: Word, *, is_forwarded: bool) -> RefusalClass | None:
    """Whether a word is a refusal of us or of our pace, not of the message, and which."""
    if not isinstance(word, Said) or is_accepted(word):
        return None
    refusal_class = classify(word.host, word.reply, stage=word.stage, is_forwarded=is_forwarded)
    return refusal_class if refusal_class in {RefusalClass.ABOUT_US, RefusalClass.RATE} else None


def alarm_of(word: Word, *, is_forwarded: bool = False) -> str | None:
    """What the operator must see: a server that refuses us, not the message."""
    match about_us(word, is_forwarded=is_forwarded):
        case RefusalClass.ABOUT_US:
            return f"refused for what we are: {describe(word)}"
        case RefusalClass.RATE if is_forwarded:
            return f"refused for our pace: {describe(word)}"
        case _:
            return None


def _in_the_servers_words(is_forwarded: bool, said: Said, recipient: Mailbox) -> Reply:  # noqa: FBT001
    return for_submission(said.host, said.reply, recipient, stage=said.stage, is_forwarded=is_forwarded)


def _in_our_words(is_forwarded: bool, said: Said, _recipient: Mailbox) -> Reply:  # noqa: FBT001
    return for_stranger(said.host, said.reply, stage=said.stage, is_forwarded=is_forwarded)
