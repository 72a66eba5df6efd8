"""A peer of the server's dialogue that answers its events, and a client's dialogue that is easy to read."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
from ptt.protocol.smtp.commands import ClientCommand, ClientEvent, Data, Hello, Mail, Recipient
from ptt.protocol.smtp.events import (
    DataReceived,
    DataRequested,
    LoginAttempted,
    ScramFinished,
    ServerEvent,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server import ServerDialogue

OK = Reply(250, "2.0.0", "Fine.")
GO_AHEAD = Reply(354, None, "Go ahead.")
WELCOME = Reply(235, "2.7.0", "Welcome.")


class Peer:
    """Sends octets, collects replies and events. ``answers``: type of event -> our next replies to it."""

    def __init__(
        self, *, tls: bool = False, greet: bool = True, host_name: str = "mx.example", **settings: Any
    ) -> None:
        settings = {"offers": frozenset(Keyword), "auth_mechanisms": ("PLAIN", "LOGIN")} | settings
        self.settings = ServerSettings(host_name, **settings)
        self.dialogue = ServerDialogue(self.settings, tls=tls)
        self.answers: dict[type, list[tuple[Reply, ...] | None]] = {}
        self.events: list[ServerEvent] = []
        if greet:
            self.dialogue.greeting()
            self.dialogue.data_to_send()

    def will(self, event: type, *replies: Reply | None) -> None:
        """Answer the next event of this type so; None: not at all yet."""
        kept = [reply for reply in replies if reply is not None]
        self.answers.setdefault(event, []).append(tuple(kept) if kept else None)

    def say(self, *lines: str) -> list[str]:
        """Send lines, with CRLF each, as one piece; give the lines of the replies."""
        return self.send("".join(f"{line}\r\n" for line in lines).encode())

    def send(self, data: bytes, *, piece: int = 0) -> list[str]:
        """Send octets, at once or by the piece."""
        replies = b""
        size = piece or max(len(data), 1)
        for start in range(0, max(len(data), 1), size):
            self.dialogue.receive_data(data[start : start + size])
            self.run()
            replies += b"".join(self.dialogue.data_to_send())
        return replies.decode().splitlines()

    def codes(self, *lines: str) -> list[str]:
        """The same, but the codes alone: of each reply the last line's."""
        return [line[:3] for line in self.say(*lines) if line[3:4] == " "]

    def run(self) -> None:
        """Take and answer events until there is none."""
        while (event := self.dialogue.next_event()) is not None:
            self.events.append(event)
            if self.dialogue.waits_for_reply:
                self._answer(event)

    def _answer(self, event: ServerEvent) -> None:
        planned = self.answers.get(type(event), [])
        if planned:
            replies = planned.pop(0)
            if replies is not None:
                self.dialogue.reply(*replies)
        elif isinstance(event, DataRequested):
            self.dialogue.reply(GO_AHEAD)
        elif isinstance(event, LoginAttempted | ScramFinished):
            self.dialogue.reply(WELCOME)
        else:
            self.dialogue.reply(*[OK] * self.dialogue.replies_wanted)

    def output(self) -> list[str]:
        """What is to be sent now."""
        return b"".join(self.dialogue.data_to_send()).decode().splitlines()

    def of(self, kind: type) -> list[Any]:
        """The events of a type."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def message(self) -> bytes:
        """All that ``DataReceived`` gave."""
        return b"".join(event.data for event in self.of(DataReceived))

    def open(
        self, *recipients: str, hello: str = "EHLO c.example", mail: str = "MAIL FROM:<a@b.example>"
    ) -> "Peer":
        """EHLO, MAIL and RCPT."""
        self.say(hello, mail, *(f"RCPT TO:<{recipient}>" for recipient in recipients))
        return self


OFFER = (
    b"250-mx.example\r\n250-SIZE 157286400\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
    b"250-CHUNKING\r\n250 SMTPUTF8\r\n"
)
TO_FOREIGN_HOSTS = ClientSettings()


class Talk:
    """A dialogue, with what it sent and what it told in the form that tests read easily."""

    def __init__(self, settings: ClientSettings = TO_FOREIGN_HOSTS, *, tls: bool = False) -> None:
        self.client = ClientDialogue(settings, tls=tls)

    def sent(self) -> bytes:
        return b"".join(self.client.data_to_send())

    def told(self) -> list[ClientEvent]:
        events = []
        while (event := self.client.next_event()) is not None:
            events.append(event)
        return events

    def send(self, *commands: ClientCommand) -> bytes:
        self.client.send(*commands)
        return self.sent()

    def server(self, wire: bytes) -> list[ClientEvent]:
        self.client.receive_data(wire)
        return self.told()

    def body(self, *pieces: bytes, last: bool = True) -> bytes:
        assert self.client.send_body(pieces, last=last) is None
        return self.sent()


def client_greeted(
    offer: bytes = OFFER,
    settings: ClientSettings = TO_FOREIGN_HOSTS,
    *,
    tls: bool = False,
) -> Talk:
    """A dialogue behind its EHLO."""
    talk = Talk(settings, tls=tls)
    talk.server(b"220 ready\r\n")
    talk.send(Hello("me.example"))
    talk.server(offer)
    return talk


def client_in_body(offer: bytes = OFFER, settings: ClientSettings = TO_FOREIGN_HOSTS) -> Talk:
    """A dialogue behind 354, two recipients accepted."""
    talk = client_greeted(offer, settings)
    talk.send(
        Mail(None),
        *(Recipient(Mailbox(name, Name.of("example.org"), name.encode())) for name in ("anne", "bob")),
    )
    while talk.client.outstanding:
        talk.server(b"250 ok\r\n" * talk.client.outstanding)
    talk.send(Data())
    talk.server(b"354 go\r\n")
    return talk


@pytest.fixture
def peer() -> Callable[..., Peer]:
    return Peer


@pytest.fixture
def new_talk() -> Callable[..., Talk]:
    return Talk


@pytest.fixture
def greeted() -> Callable[..., Talk]:
    return client_greeted


@pytest.fixture
def in_body() -> Callable[..., Talk]:
    return client_in_body
