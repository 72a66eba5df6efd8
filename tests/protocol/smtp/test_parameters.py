"""Arguments of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.grammar import is_bare_postmaster
from ptt.protocol.smtp.parameters import MailArguments, parse_mail, parse_recipient
from ptt.protocol.smtp.reply import Reply

ALL = frozenset(Keyword)


def mail(
    argument: str, offered: frozenset[Keyword] = ALL, *, tolerant: bool = False
) -> MailArguments | Reply:
    return parse_mail(argument.encode(), offered, tolerant=tolerant)


def recipient(argument: str, *, smtputf8: bool = False, tolerant: bool = False) -> object:
    return parse_recipient(argument.encode(), "mx.example", smtputf8=smtputf8, tolerant=tolerant)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", MailParameters()),
        (" SIZE=10000000000 BODY=8BITMIME", MailParameters(10000000000, BodyType.EIGHT_BIT_MIME)),
        (" body=7bit size=0", MailParameters(0, BodyType.SEVEN_BIT)),
        (" SMTPUTF8 REQUIRETLS PRDR", MailParameters(smtputf8=True, requiretls=True, prdr=True)),
        (" AUTH=<>", MailParameters()),
        (" AUTH=e+3Dmc2@example.com SIZE=1", MailParameters(1)),
        (" XPTT=4f.1:anne", MailParameters(trace_id="4f.1", login="anne")),
        (" XPTT=4f.1", MailParameters(trace_id="4f.1")),
    ],
)
def test_parameters(text: str, parameters: MailParameters) -> None:
    assert mail(f"FROM:<a@b.example>{text}") == MailArguments(mailbox("a@b.example"), parameters)
    assert mail(f"FROM:<>{text}") == MailArguments(None, parameters)


@pytest.mark.parametrize(
    "text",
    [
        *("SIZE", "SIZE=", "SIZE=x", "SIZE=-1", "SIZE=" + "1" * 21, "SIZE=1 SIZE=1", "SIZE=1 size=2", "BODY"),
        *("BODY=9BIT", "SMTPUTF8=1", "REQUIRETLS=1", "PRDR=1", "AUTH", "AUTH=a=b", "XPTT", "XPTT=a:", "-A=1"),
        *("A==1", "=", "SIZE =1"),
    ],
)
def test_malformed_parameters(text: str) -> None:
    assert mail(f"FROM:<a@b.example> {text}") in {wording.BAD_PARAMETER, wording.UNKNOWN_PARAMETER}
    if "SIZE=1 " not in text and "=1" not in text[-3:]:
        assert mail(f"FROM:<a@b.example> {text}") is wording.BAD_PARAMETER


@pytest.mark.parametrize("text", ["RET=HDRS", "ENVID=a", "BODY=BINARYMIME", "body=binarymime", "X", "BY=1"])
def test_unknown_parameters(text: str) -> None:
    assert mail(f"FROM:<a@b.example> {text}") is wording.UNKNOWN_PARAMETER


@pytest.mark.parametrize("text", ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "REQUIRETLS", "PRDR", "XPTT=a"])
def test_parameters_that_are_not_offered(text: str) -> None:
    assert mail(f"FROM:<a@b.example> {text}", frozenset()) is wording.UNKNOWN_PARAMETER
    assert isinstance(mail("FROM:<a@b.example> AUTH=<>", frozenset()), MailArguments)


@pytest.mark.parametrize("argument", ["", "FROM", "LALA: <>", "FROM:", "FROM: <>", "FROM:a@b.example"])
def test_bad_mail(argument: str) -> None:
    assert mail(argument) is wording.BAD_MAIL


def test_addresses_of_mail() -> None:
    assert mail("FROM:<pepe>") is wording.BAD_REVERSE_PATH
    assert mail("FROM:<Postmaster>") is wording.BAD_REVERSE_PATH
    assert mail("FROM:<zoë@b.example>") is wording.REVERSE_PATH_NEEDS_SMTPUTF8
    assert isinstance(mail("FROM:<zoë@b.example> SMTPUTF8"), MailArguments)
    assert isinstance(mail("FROM: a@b.example", tolerant=True), MailArguments)
    assert mail("FROM: <>", tolerant=True) == MailArguments(None, MailParameters())


def test_addresses_of_recipients() -> None:
    assert recipient("TO:<a@b.example>") == mailbox("a@b.example")
    assert recipient("TO:<@c.example:a@b.example>") == mailbox("a@b.example")
    assert recipient("TO:<zoë@b.example>", smtputf8=True) == mailbox("zoë@b.example")
    assert recipient("TO:<zoë@b.example>") is wording.FORWARD_PATH_NEEDS_SMTPUTF8
    assert recipient("TO:<>") is wording.BAD_FORWARD_PATH
    assert recipient("TO:<pepe>") is wording.BAD_FORWARD_PATH
    assert recipient("TO:<a@b.example> NOTIFY=NEVER") is wording.UNKNOWN_PARAMETER
    assert recipient("TO:<a@b.example> ==") is wording.BAD_PARAMETER
    assert recipient("FROM:<a@b.example>") is wording.BAD_RCPT
    assert recipient("TO: a@b.example") is wording.BAD_RCPT
    assert recipient("TO: a@b.example", tolerant=True) == mailbox("a@b.example")


def test_the_bare_postmaster() -> None:
    found = recipient("TO:<POSTMASTER>")
    assert found == mailbox("postmaster@mx.example")
    assert is_bare_postmaster(found)
    assert not is_bare_postmaster(mailbox("postmaster@mx.example"))


@given(st.text(max_size=60), st.booleans())
def test_nothing_raises(text: str, tolerant: bool) -> None:
    for argument in (text, f"FROM:<{text}>", f"TO:<{text}>", f"FROM:<> {text}"):
        octets = argument.encode("utf-8", "surrogatepass")
        parse_mail(octets, ALL, tolerant=tolerant)
        parse_recipient(octets, "mx.example", smtputf8=tolerant, tolerant=tolerant)
