"""One order, from the directory to the chain (RFC 8555 §7.1): what to do next, and what came of it.

``next_step`` says what to do, the other methods what it came to. States and their exchanges are a table. A
bad nonce is answered with a fresh one (§6.5); an authority that is busy or out of reach is asked again some
times; after that, and for every other problem, the order has failed and whoever ordered waits (§6.6).
Challenges are dns-01 alone (§8.4). Whoever shows the records takes them away in the end.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from ptt.errors import Malformed, MisuseError
from ptt.protocol.acme.account_key import base64url
from ptt.protocol.acme.http import JOSE_JSON, Request, Response, Unreachable, retry_after_s
from ptt.protocol.acme.objects import (
    DNS,
    DNS_01,
    Account,
    Authorization,
    Directory,
    Kind,
    Order,
    Problem,
    Status,
    is_https,
    read_object,
)
from ptt.protocol.acme.signing_request import (
    MAX_NAMES,
    WILDCARD,
    SigningRequest,
    read_certificate,
    read_chain,
)
from ptt.protocol.acme.steps import (
    Acquaintance,
    ChallengeRecord,
    Failed,
    Issued,
    Present,
    Send,
    State,
    Step,
    Wait,
)
from ptt.protocol.dns.name import Name

MAX_BAD_NONCES = 5  # in a row
MAX_REPEATS = 3  # of a request to an authority that is busy or out of reach
MAX_PATIENCE_S = 60.0  # what we wait within an order; longer waits end it
FIRST_WAIT_S = 1.0  # doubled at each further poll
MAX_POLLS = 12  # with that, ten minutes
LIMITED_FOR_S = 3600.0  # where a limit comes without Retry-After
MAX_NONCE_CHARACTERS = 512
BASE64URL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
CLIENT_ERROR, SERVER_ERROR = 400, 500
TOO_MANY_REQUESTS = 429


class OrderDialogue:
    """See the module. ``replaces`` is the id of the certificate that is renewed (RFC 9773 §4.1, §5)."""

    def __init__(self, acquaintance: Acquaintance, request: SigningRequest, replaces: str = "") -> None:
        self._known = acquaintance
        self._replaces = replaces
        self._own_directory = acquaintance.directory  # another order may fail and forget it
        self._request = request
        self._state = State.DIRECTORY if acquaintance.directory is None else State.ACCOUNT
        if acquaintance.directory is not None and acquaintance.account_url:
            self._state = State.ORDER
        self._step: Step | None = None
        self._order_url = ""
        self._order: Order | None = None
        self._unread: list[str] = []
        self._open: list[tuple[str, str]] = []  # authorization, its challenge
        self._records: list[ChallengeRecord] = []
        self._to_trigger: list[str] = []
        self._bad_nonces = self._repeats = self._polls = 0
        self._getting_nonce = False
        self._is_new_account_tried = False
        self._asked_to_wait_s: float | None = None

    @property
    def state(self) -> State:
        """Where the order is."""
        return self._state

    def next_step(self) -> Step:
        """What to do now; the same until it is answered."""
        if self._step is None:
            self._step = Send(self._next_request())
        return self._step

    def receive_response(self, response: Response | Unreachable, now: datetime) -> None:
        """Take what came of ``Send``."""
        self._expect(Send)
        if isinstance(response, Unreachable):
            self._repeat_or_fail(f"the authority cannot be reached: {response.reason}", None)
            return
        nonce = response.headers.get("replay-nonce", "")
        if 0 < len(nonce) <= MAX_NONCE_CHARACTERS and BASE64URL.issuperset(nonce):  # §6.5.1: else ignored
            self._known.nonce = nonce
        if response.status >= CLIENT_ERROR:
            self._refused(response, retry_after_s(response, now))
            return
        if self._getting_nonce:
            self._getting_nonce = False
            if not self._known.nonce:
                self._fail("the authority gives no nonce")
            return
        self._bad_nonces = self._repeats = 0
        self._asked_to_wait_s = retry_after_s(response, now)
        self._EXCHANGES[self._state][1](self, response)

    def waited(self) -> None:
        """Go on after ``Wait``."""
        self._expect(Wait)

    def presented(self) -> None:
        """Go on after ``Present``: every server that the authority may ask shows the records."""
        self._expect(Present)

    def give_up(self, reason: str) -> None:
        """End the order: its records cannot be shown, or nobody wants it any more."""
        self._fail(reason)

    def _expect(self, kind: type[Step]) -> None:
        if not isinstance(self._step, kind):
            raise MisuseError(f"{self._step} is not answered like {kind.__name__}")
        self._step = None

    # Requests

    def _next_request(self) -> Request:
        if self._state is not State.DIRECTORY and not self._known.nonce:
            self._getting_nonce = True
            return Request("HEAD", self._directory.new_nonce)
        return self._EXCHANGES[self._state][0](self)

    @property
    def _directory(self) -> Directory:
        if self._own_directory is None:
            raise MisuseError("no directory was read")
        return self._own_directory

    def _signed(self, url: str, payload: object | None, *, with_key: bool = False) -> Request:
        nonce, self._known.nonce = self._known.nonce, ""
        account_url = "" if with_key else self._known.account_url
        return Request("POST", url, self._known.key.sign(payload, url, nonce, account_url), JOSE_JSON)

    def _ask_directory(self) -> Request:
        return Request("GET", self._known.directory_url)

    def _ask_account(self) -> Request:
        """§7.3: an account that exists is given again; so nothing must be kept but the key [L5]."""
        payload: dict[str, object] = {"termsOfServiceAgreed": True}
        if self._known.contact:
            payload["contact"] = self._known.contact
        return self._signed(self._directory.new_account, payload, with_key=True)

    def _ask_order(self) -> Request:
        names = sorted(name.text for name in self._request.names)
        identifiers = [{"type": DNS, "value": name} for name in names]
        payload: dict[str, object] = {"identifiers": identifiers}
        if self._replaces and self._directory.renewal_info:
            payload["replaces"] = self._replaces
        return self._signed(self._directory.new_order, payload)

    def _ask_authorization(self) -> Request:
        return self._signed(self._unread[0], None)

    def _ask_challenge(self) -> Request:
        return self._signed(self._to_trigger[0], {})  # §7.5.1

    def _ask_validation(self) -> Request:
        return self._signed(self._open[0][0], None)

    def _ask_order_again(self) -> Request:
        return self._signed(self._order_url, None)

    def _ask_finalize(self) -> Request:
        return self._signed(self._present_order.finalize, {"csr": base64url(self._request.der)})

    def _ask_certificate(self) -> Request:
        return self._signed(self._present_order.certificate, None)

    @property
    def _present_order(self) -> Order:
        if self._order is None:
            raise MisuseError("no order was read")
        return self._order

    # Responses

    def _read_directory(self, response: Response) -> None:
        directory = self._read(response, Directory)
        if directory is None:
            return
        if directory.meta.external_account_required:
            self._fail("the authority wants an account bound to one of its own (RFC 8555 §7.3.4)")
            return
        self._known.directory = self._own_directory = directory
        self._state = State.ORDER if self._known.account_url else State.ACCOUNT

    def _read_account(self, response: Response) -> None:
        account = self._read(response, Account)
        location = response.headers.get("location", "")
        if account is None:
            return
        if account.status is not Status.VALID or not is_https(location):
            self._fail(f"the account is {account.status}, at {location!r}")
            return
        self._known.account_url = location
        self._state = State.ORDER

    def _read_new_order(self, response: Response) -> None:
        self._order_url = response.headers.get("location", "")
        if not is_https(self._order_url):
            self._fail("an order without a URL of its own")
            return
        self._read_order(response)
        if self._step is None and self._state is State.AUTHORIZATION:
            self._unread = list(self._present_order.authorizations)
            self._open, self._to_trigger = [], []  # of an order before, where the account was gone meanwhile
            if not self._unread:
                self._fail("a pending order without authorizations")
            elif len(self._unread) > MAX_NAMES:  # each is asked for, and becomes a record in our zone
                self._fail(f"an order with {len(self._unread)} authorizations")

    def _read_order(self, response: Response) -> None:
        """§7.1.6: what an order's status asks for."""
        order = self._read(response, Order)
        if order is None:
            return
        self._order = order
        match order.status:
            case Status.PENDING if self._state is State.ORDER:
                self._state = State.AUTHORIZATION
            case Status.READY if self._state is not State.FINALIZE:
                self._state = State.FINALIZE
            case Status.PENDING | Status.READY | Status.PROCESSING:
                self._state = State.ORDER_POLL
                self._poll_later("the order")
            case Status.VALID if order.certificate:
                self._state = State.CERTIFICATE
            case _:
                self._fail(f"the order is {order.status}", order.error)

    def _read_authorization(self, response: Response) -> None:
        authorization = self._read(response, Authorization)
        if authorization is None:
            return
        url = self._unread.pop(0)
        if authorization.status is Status.PENDING:
            if not self._note_challenge(url, authorization):
                return
        elif authorization.status is not Status.VALID:
            self._fail(f"the authorization of {authorization.identifier.value} is {authorization.status}")
            return
        if self._unread:
            return
        self._state = State.CHALLENGE if self._open else State.ORDER_POLL
        if self._records:
            self._step = Present(tuple(self._records))

    def _note_challenge(self, url: str, authorization: Authorization) -> bool:
        name = Name.parse(authorization.identifier.value)
        challenge = authorization.challenge(DNS_01)
        if challenge is None or not _is_token(challenge.token) or isinstance(name, Malformed):
            self._fail("an authorization without dns-01")
            return False
        if not any(name in {asked, _without_star(asked)} for asked in self._request.names):
            self._fail(f"an authorization of {name}, which was not asked for")
            return False
        owner = name.below(b"_acme-challenge")
        if isinstance(owner, Malformed):
            self._fail(f"{name}: {owner.reason}")
            return False
        self._open.append((url, challenge.url))
        self._to_trigger.append(challenge.url)
        self._records.append(ChallengeRecord(owner, self._known.key.dns_01(challenge.token)))
        return True

    def _read_challenge(self, _response: Response) -> None:
        """What it says now is asked of the authorization, all the same."""
        self._to_trigger.pop(0)
        if not self._to_trigger:
            self._state = State.VALIDATION
            self._poll_later("the validation")

    def _read_validation(self, response: Response) -> None:
        authorization = self._read(response, Authorization)
        if authorization is None:
            return
        match authorization.status:
            case Status.PENDING | Status.PROCESSING:
                self._poll_later("the validation")
            case Status.VALID:
                self._open.pop(0)
                self._polls = 0
                self._state = State.VALIDATION if self._open else State.ORDER_POLL
            case _:
                name = authorization.identifier.value
                challenge = authorization.challenge(DNS_01)
                error = challenge.error if challenge is not None else None
                self._fail(f"the authorization of {name} is {authorization.status}", error)

    def _read_certificate(self, response: Response) -> None:
        chain = read_chain(response.body)
        leaf = read_certificate(chain[0]) if not isinstance(chain, Malformed) and chain else chain
        if isinstance(chain, Malformed) or isinstance(leaf, Malformed | tuple):
            self._fail(f"the chain cannot be read: {leaf.reason if isinstance(leaf, Malformed) else 'empty'}")
        elif not leaf.answers(self._request):
            self._fail("the certificate has another key or other names than were asked for")
        else:
            self._step = Issued(chain)

    def _read(self, response: Response, kind: type[Kind]) -> Kind | None:
        found = read_object(response.body, kind)
        if isinstance(found, Malformed):
            self._fail(f"the authority's answer cannot be read: {found.reason}")
            return None
        return found

    # What goes wrong

    def _refused(self, response: Response, wait_s: float | None) -> None:
        self._getting_nonce = False
        problem = read_object(response.body, Problem)
        if isinstance(problem, Malformed):
            problem = Problem()
        if problem.kind == "badNonce" and self._bad_nonces < MAX_BAD_NONCES:
            self._bad_nonces += 1  # §6.5: the same again, with the nonce of this answer or a new one
        elif problem.kind == "rateLimited" or response.status == TOO_MANY_REQUESTS:
            self._fail(
                "the authority's limit", problem, LIMITED_FOR_S if wait_s is None else wait_s, limited=True
            )
        elif problem.kind == "alreadyReplaced" and self._replaces:
            self._replaces = ""  # RFC 9773 §5: another order has begun to renew it; an order like any other
        elif problem.kind == "accountDoesNotExist" and not self._is_new_account_tried:
            self._is_new_account_tried = True
            self._known.account_url = ""
            self._state = State.ACCOUNT
        elif response.status >= SERVER_ERROR:
            self._repeat_or_fail(f"the authority answers {response.status}: {problem.text}", wait_s)
        else:
            self._fail(f"refused with {response.status}", problem, wait_s or 0.0)

    def _repeat_or_fail(self, reason: str, wait_s: float | None) -> None:
        wanted_s = FIRST_WAIT_S * 2**self._repeats if wait_s is None else wait_s
        self._getting_nonce = False
        self._repeats += 1
        if self._repeats > MAX_REPEATS or wanted_s > MAX_PATIENCE_S:
            self._fail(reason, retry_after_s=wait_s or 0.0)
        else:
            self._step = Wait(wanted_s)

    def _poll_later(self, what: str) -> None:
        wanted_s = self._asked_to_wait_s
        if wanted_s is None or wanted_s <= 0:
            wanted_s = min(FIRST_WAIT_S * 2**self._polls, MAX_PATIENCE_S)
        self._polls += 1
        if self._polls > MAX_POLLS:
            self._fail(f"{what} takes too long")
        else:
            self._step = Wait(min(wanted_s, MAX_PATIENCE_S))

    def _fail(
        self,
        reason: str,
        problem: Problem | None = None,
        retry_after_s: float = 0.0,
        *,
        limited: bool = False,
    ) -> None:
        self._known.directory = None  # read anew: addresses may have changed
        text = reason if problem is None else f"{reason}: {problem.text}"
        self._step = Failed(text, retry_after_s, limited)

    # Which request each state makes, and who reads what comes back.
    _EXCHANGES: ClassVar[
        Mapping[
            State, tuple[Callable[["OrderDialogue"], Request], Callable[["OrderDialogue", Response], None]]
        ]
    ] = {
        State.DIRECTORY: (_ask_directory, _read_directory),
        State.ACCOUNT: (_ask_account, _read_account),
        State.ORDER: (_ask_order, _read_new_order),
        State.AUTHORIZATION: (_ask_authorization, _read_authorization),
        State.CHALLENGE: (_ask_challenge, _read_challenge),
        State.VALIDATION: (_ask_validation, _read_validation),
        State.ORDER_POLL: (_ask_order_again, _read_order),
        State.FINALIZE: (_ask_finalize, _read_order),
        State.CERTIFICATE: (_ask_certificate, _read_certificate),
    }


def _is_token(token: str) -> bool:
    """§8.1: base64url, at least 128 bits."""
    return 22 <= len(token) <= MAX_NONCE_CHARACTERS and BASE64URL.issuperset(token)  # noqa: PLR2004


def _without_star(name: Name) -> Name:
    return Name(name.labels[1:]) if name.labels[:1] == (WILDCARD,) else name
