"""An order from the directory to the chain, and each way in which it fails."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.dialogue import OrderDialogue
from ptt.protocol.acme.http import Response, Unreachable
from ptt.protocol.acme.signing_request import SigningRequest, read_certificate
from ptt.protocol.acme.steps import Failed, Issued, Send, State
from ptt.protocol.dns.name import Name

Asked = Callable[..., SigningRequest]
HOST = "mail.example.org"
GOOD_TOKEN = "t" * 43


@pytest.fixture
def talk(script: Any, asked: Asked) -> Any:
    return script(asked(HOST))


def payload_of(body: bytes) -> Any:
    parts = json.loads(body)
    text = parts["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else None


def header_of(body: bytes) -> Any:
    text = json.loads(body)["protected"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def failed(talk: Any) -> Failed:
    step = talk.play()
    assert isinstance(step, Failed)
    assert talk.known.directory is None
    return step


def test_an_order_from_end_to_end(talk: Any, key: AccountKey) -> None:
    talk.known.contact = ("mailto:a@example.org",)
    step = talk.play()
    assert isinstance(step, Issued)
    leaf = read_certificate(step.chain[0])
    assert leaf.answers(talk.request)  # type: ignore[union-attr]
    assert len(step.chain) == 2
    assert talk.paths == [
        "directory",
        "newNonce",
        "newAccount",
        "newOrder",
        "authorization",
        "challenge",
        "authorization",
        "order",
        "finalize",
        "certificate",
    ]
    account, order, authorization, challenge = (request.body for request in talk.sent[2:6])
    assert payload_of(account) == {"termsOfServiceAgreed": True, "contact": ["mailto:a@example.org"]}
    assert header_of(account)["jwk"]["kty"] == "EC"
    assert payload_of(order) == {"identifiers": [{"type": "dns", "value": HOST}]}
    assert header_of(order)["kid"] == "https://ca.example/account/1"
    assert "jwk" not in header_of(order)
    assert payload_of(authorization) is None
    assert payload_of(challenge) == {}
    nonces = [header_of(request.body)["nonce"] for request in talk.sent[2:]]
    assert len(set(nonces)) == len(nonces)
    assert [header_of(request.body)["url"] for request in talk.sent[2:]] == [
        request.url for request in talk.sent[2:]
    ]
    digest = hashlib.sha256(f"{GOOD_TOKEN}.{key.thumbprint}".encode()).digest()
    text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert [(record.name, record.text) for record in talk.presented[0].records] == [
        (Name.of(f"_acme-challenge.{HOST}"), text)
    ]


def test_the_next_order_needs_neither_directory_nor_account(talk: Any, script: Any) -> None:
    talk.play()
    again = script(talk.request, directory=talk.known.directory, account_url=talk.known.account_url)
    assert isinstance(again.play(), Issued)
    assert again.paths[:2] == ["newNonce", "newOrder"]
    without = script(talk.request, directory=talk.known.directory)
    assert isinstance(without.play(), Issued)
    assert without.paths[:2] == ["newNonce", "newAccount"]
    anew = script(talk.request, account_url=talk.known.account_url)
    assert isinstance(anew.play(), Issued)
    assert anew.paths[:3] == ["directory", "newNonce", "newOrder"]
    assert again.dialogue.state is State.CERTIFICATE


def test_several_names_and_a_wildcard(script: Any, asked: Asked) -> None:
    talk = script(asked("a.example.org", "*.a.example.org"))
    urls = ["https://ca.example/authorization", "https://ca.example/second"]
    talk.say(
        "newOrder", {**talk.order("pending"), "authorizations": urls}, Location="https://ca.example/order"
    )
    talk.say("second", talk.authorization("pending", "a.example.org"), talk.authorization("valid", "a"))
    talk.answers["authorization"] = [
        talk.response(talk.authorization("pending", "a.example.org"), 200, {}),
        talk.response(talk.authorization("valid", "a.example.org"), 200, {}),
    ]
    assert isinstance(talk.play(), Issued)
    assert {record.name.text for record in talk.presented[0].records} == {"_acme-challenge.a.example.org"}
    assert talk.paths.count("challenge") == 2


def test_names_that_are_valid_already_are_not_shown_again(talk: Any) -> None:
    talk.say("authorization", talk.authorization("valid", HOST))
    assert isinstance(talk.play(), Issued)
    assert talk.presented == []
    assert "challenge" not in talk.paths


@pytest.mark.parametrize("status", ["ready", "processing", "valid"])
def test_an_order_may_be_further_on(talk: Any, status: str) -> None:
    order = talk.order(status, certificate="https://ca.example/certificate")
    talk.say("newOrder", order, Location="https://ca.example/order")
    assert isinstance(talk.play(), Issued)


def test_everything_takes_time(talk: Any) -> None:
    pending = talk.response(talk.authorization("pending", HOST), 200, {})
    slow = talk.response(talk.authorization("processing", HOST), 200, {"retry-after": "7"})
    talk.answers["authorization"] = [pending, pending, slow, talk.answers["authorization"][1]]
    talk.say("finalize", talk.order("processing"), Retry_After="0")
    valid = talk.order("valid", certificate="https://ca.example/certificate")
    talk.say("order", talk.order("ready"), talk.order("processing"), valid)
    assert isinstance(talk.play(), Issued)
    assert 7 in talk.waits
    assert min(talk.waits) >= 1


def test_what_never_ends_fails(talk: Any) -> None:
    talk.say("authorization", talk.authorization("pending", HOST))
    assert failed(talk).reason == "the validation takes too long"
    assert sum(talk.waits) > 120


def test_bad_nonces(talk: Any) -> None:
    talk.first("newOrder", *(talk.problem("badNonce") for _ in range(5)))
    assert isinstance(talk.play(), Issued)
    assert talk.paths.count("newOrder") == 6


def test_too_many_bad_nonces(talk: Any) -> None:
    talk.answers["newOrder"] = [talk.problem("badNonce")]
    assert "badNonce" in failed(talk).reason


def test_a_bad_nonce_without_a_new_one(talk: Any) -> None:
    bad = talk.problem("badNonce")
    talk.first("newOrder", Response(400, {"replay-nonce": "not base64!"}, bad.body))
    assert isinstance(talk.play(), Issued)
    assert talk.paths.count("newNonce") == 2


def test_an_authority_without_nonces(talk: Any) -> None:
    talk.answers["newNonce"] = [Response(200)]
    assert failed(talk).reason == "the authority gives no nonce"


def test_limits(talk: Any) -> None:
    talk.answers["newOrder"] = [talk.problem("rateLimited", 429, Retry_After="7200")]
    step = failed(talk)
    assert (step.retry_after_s, step.limited) == (7200, True)
    assert "so it is" in step.reason


def test_limits_without_a_time(talk: Any) -> None:
    talk.answers["newNonce"] = [Response(429, {}, b"<html>")]
    step = failed(talk)
    assert (step.retry_after_s, step.limited) == (3600, True)


def test_a_busy_authority_is_asked_again(talk: Any) -> None:
    talk.first("finalize", talk.problem("serverInternal", 503, Retry_After="5"), Unreachable("no route"))
    assert isinstance(talk.play(), Issued)
    assert talk.waits[-2:] == [5, 2]


def test_an_authority_that_stays_away(talk: Any) -> None:
    talk.answers["directory"] = [Unreachable("no route")]
    step = failed(talk)
    assert step == Failed("the authority cannot be reached: no route")
    assert talk.paths == ["directory"] * 4
    assert talk.waits == [1, 2, 4]


def test_an_authority_that_wants_a_long_wait(talk: Any) -> None:
    talk.answers["newNonce"] = [talk.problem("serverInternal", 503, Retry_After="3000")]
    assert failed(talk).retry_after_s == 3000


def test_an_account_that_is_gone_is_made_anew(script: Any, asked: Asked) -> None:
    talk = script(asked(HOST), account_url="https://ca.example/account/old")
    talk.first("newOrder", talk.problem("accountDoesNotExist"))
    assert isinstance(talk.play(), Issued)
    assert talk.paths[:5] == ["directory", "newNonce", "newOrder", "newAccount", "newOrder"]
    talk = script(asked(HOST))
    talk.answers["newOrder"] = [talk.problem("accountDoesNotExist")]
    assert "accountDoesNotExist" in failed(talk).reason


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("directory", {}, "cannot be read"),
        ("directory", [], "cannot be read"),
        ("newAccount", {"status": "revoked"}, "the account is revoked"),
        ("newAccount", {}, "cannot be read"),
        ("order", {}, "cannot be read"),
        ("authorization", {}, "cannot be read"),
        ("finalize", {"status": "strange"}, "cannot be read"),
        ("certificate", None, "cannot be read"),
    ],
)
def test_what_cannot_be_read(talk: Any, path: str, content: object, reason: str) -> None:
    talk.say(path, content, Location="https://ca.example/x")
    assert reason in failed(talk).reason


def test_a_directory_that_wants_another_account(talk: Any) -> None:
    directory = dict.fromkeys(("newNonce", "newAccount", "newOrder"), "https://ca.example/x")
    talk.say("directory", {**directory, "meta": {"externalAccountRequired": True}})
    assert "bound" in failed(talk).reason


def test_urls_must_be_https(talk: Any) -> None:
    talk.say("newAccount", {"status": "valid"}, Location="http://ca.example/account")
    assert "the account is valid, at 'http:" in failed(talk).reason


def test_an_order_without_url(talk: Any) -> None:
    talk.say("newOrder", talk.order("pending"))
    assert "without a URL" in failed(talk).reason


def test_an_order_that_cannot_be_read(talk: Any) -> None:
    talk.say("newOrder", {}, Location="https://ca.example/order")
    assert "cannot be read" in failed(talk).reason


def test_an_order_without_authorizations(talk: Any) -> None:
    order = {**talk.order("pending"), "authorizations": []}
    talk.say("newOrder", order, Location="https://ca.example/order")
    assert "without authorizations" in failed(talk).reason


def test_an_order_with_more_authorizations_than_names_can_be(talk: Any) -> None:
    order = {**talk.order("pending"), "authorizations": ["https://ca.example/authorization"] * 101}
    talk.say("newOrder", order, Location="https://ca.example/order")
    assert "101 authorizations" in failed(talk).reason
    assert "authorization" not in talk.paths


def test_an_account_that_is_gone_in_the_middle_takes_its_order_with_it(talk: Any) -> None:
    talk.first("challenge", talk.problem("accountDoesNotExist"))
    pending, valid = (talk.authorization(status, HOST) for status in ("pending", "valid"))
    talk.say("authorization", pending, pending, valid)
    assert isinstance(talk.play(), Issued)
    assert talk.paths.count("newOrder") == 2
    assert talk.paths.count("challenge") == 2, "the first one's is not asked for again"


def test_an_order_that_is_invalid(talk: Any) -> None:
    error = {"type": "urn:ietf:params:acme:error:caa", "detail": "not\nwe"}
    talk.say("newOrder", talk.order("invalid", error=error), Location="https://ca.example/order")
    assert failed(talk).reason == "the order is invalid: caa: not we"


def test_an_order_that_is_valid_without_certificate(talk: Any) -> None:
    talk.say("finalize", talk.order("valid"))
    assert failed(talk).reason == "the order is valid"


@pytest.mark.parametrize("status", ["invalid", "expired"])
def test_an_authorization_that_is_over(talk: Any, status: str) -> None:
    talk.say("authorization", talk.authorization(status, HOST))
    assert failed(talk).reason == f"the authorization of {HOST} is {status}"


def test_a_validation_that_fails(talk: Any) -> None:
    error = {"type": "urn:ietf:params:acme:error:dns", "detail": "no such name"}
    talk.say(
        "authorization",
        talk.authorization("pending", HOST),
        talk.authorization("invalid", HOST, error=error),
    )
    assert failed(talk).reason == f"the authorization of {HOST} is invalid: dns: no such name"


def test_a_validation_that_fails_without_a_word(talk: Any) -> None:
    gone = {**talk.authorization("invalid", HOST), "challenges": []}
    talk.say("authorization", talk.authorization("pending", HOST), gone)
    assert failed(talk).reason == f"the authorization of {HOST} is invalid"


def test_a_validation_that_cannot_be_read(talk: Any) -> None:
    talk.say("authorization", talk.authorization("pending", HOST), {})
    assert "cannot be read" in failed(talk).reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "dns-02"}, "without dns-01"),
        ({"token": "short"}, "without dns-01"),
        ({"token": "dots." * 10}, "without dns-01"),
        ({"name": "..", "token": "t" * 43}, "without dns-01"),
        ({"name": "other.example.org"}, "was not asked for"),
    ],
)
def test_a_challenge_that_is_none(talk: Any, change: dict[str, str], reason: str) -> None:
    name = change.pop("name", HOST)
    talk.say("authorization", talk.authorization("pending", name, **change))
    assert reason in failed(talk).reason


def test_a_name_too_long_for_a_challenge(script: Any, asked: Asked) -> None:
    name = ".".join(["a" * 60] * 4)
    talk = script(asked(name))
    assert "longer than 255" in failed(talk).reason


def test_another_certificate_than_asked_for(talk: Any, asked: Asked, chain: Callable[..., bytes]) -> None:
    talk.answers["certificate"] = [Response(200, {}, chain(asked(HOST).der))]
    assert "another key or other names" in failed(talk).reason


def test_refusals(talk: Any) -> None:
    talk.answers["newOrder"] = [talk.problem("rejectedIdentifier", 403)]
    step = failed(talk)
    assert step.reason == "refused with 403: rejectedIdentifier: so it is"
    assert not step.limited


def test_giving_up(talk: Any) -> None:
    talk.dialogue.give_up("nobody wants it")
    assert talk.dialogue.next_step() == Failed("nobody wants it")


def test_misuse(talk: Any, script: Any, asked: Asked) -> None:
    with pytest.raises(MisuseError):
        talk.dialogue.waited()
    assert isinstance(talk.dialogue.next_step(), Send)
    with pytest.raises(MisuseError):
        talk.dialogue.presented()
    with pytest.raises(MisuseError):
        _ = talk.dialogue._directory
    with pytest.raises(MisuseError):
        _ = talk.dialogue._present_order


def with_renewal(talk: Any) -> Any:
    directory = {
        kind: f"https://ca.example/{kind}" for kind in ("newNonce", "newAccount", "newOrder", "renewalInfo")
    }
    talk.answers["directory"] = [Response(200, {}, json.dumps(directory).encode())]
    talk.dialogue = OrderDialogue(talk.known, talk.request, "key.serial")
    return talk


def test_a_renewal_names_what_it_replaces(talk: Any, script: Any) -> None:
    assert isinstance(with_renewal(script(talk.request)).play(), Issued)
    talk = with_renewal(talk)
    talk.first("newOrder", talk.problem("alreadyReplaced", 409))
    assert isinstance(talk.play(), Issued)
    orders = [payload_of(request.body) for request in talk.sent if request.url.endswith("newOrder")]
    assert [order.get("replaces") for order in orders] == ["key.serial", None]


def test_an_authority_that_thinks_of_replacing_by_itself(talk: Any) -> None:
    talk.answers["newOrder"] = [talk.problem("alreadyReplaced", 409)]
    assert "alreadyReplaced" in failed(talk).reason


def test_two_orders_at_a_time(talk: Any, script: Any) -> None:
    """One that fails has the directory read anew, which must not disturb the other."""
    assert isinstance(talk.dialogue.next_step(), Send)
    talk.dialogue.receive_response(talk.answers["directory"][0], talk.now)
    other = OrderDialogue(talk.known, talk.request)
    other.give_up("nobody wants it")
    assert isinstance(talk.play(), Issued)


def test_a_problem_that_cannot_be_read(talk: Any) -> None:
    talk.answers["newOrder"] = [Response(403, {}, b"<html>")]
    assert failed(talk).reason == "refused with 403: about:blank: "
