"""Coverage-guided search for octets that break the server's dialogue (`make fuzz`).

The first octets choose how we speak; the rest is what the client sends. Two dialogues get it, one octet by
octet, and must say the same. It is cut after DATA and STARTTLS, where a client waits. A bounded run:
`python tests/fuzz/atheris_smtp_server.py -runs=100000`.
"""

import itertools
import re
import sys

import atheris

with atheris.instrument_imports(include=["ptt"]):
    from ptt.protocol.smtp.events import (
        DataFinished,
        DataReceived,
        DataRequested,
        LoginAttempted,
        ScramFinished,
        ScramStarted,
        ServerEvent,
        ServerSettings,
        TlsRequested,
        TransactionAborted,
    )
    from ptt.protocol.smtp.extensions import Flavour, Keyword
    from ptt.protocol.smtp.reply import Reply
    from ptt.protocol.smtp.sasl import ScramVerifier
    from ptt.protocol.smtp.server import ServerDialogue

OK = Reply(250, "2.0.0", "Fine.")
NEVER = Reply(550, "5.7.1", "Never.")
GO_AHEAD = Reply(354, None, "Go ahead.")
WELCOME = Reply(235, "2.7.0", "Welcome.")
VERIFIER = ScramVerifier(b"salt", 4096, b"s" * 32, b"k" * 32)
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
WAITING = re.compile(rb"(?i)(?:DATA|STARTTLS)[ \t]*\r\n")
SHORTHANDS = (
    b"EHLO c\r\nLHLO c\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"RCPT TO:<a@b.example>\r\n",
    b"DATA\r\n",
    b"\r\n.\r\n",
    b"BDAT 3\r\n",
    b"BDAT 4 LAST\r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH SCRAM-SHA-256 biwsbj1hLHI9YQ==\r\n",
    b"STARTTLS\r\n",
)


class Side:
    """One dialogue, answered alike each time."""

    def __init__(self, settings: ServerSettings, *, tls: bool) -> None:
        self.dialogue = ServerDialogue(settings, tls=tls)
        self.dialogue.greeting()
        self.said = b""
        self.message = b""
        self.messages: list[bytes] = []

    def run(self) -> None:
        while (event := self.dialogue.next_event()) is not None:
            self._take(event)
        self.said += b"".join(self.dialogue.data_to_send())

    def _take(self, event: ServerEvent) -> None:
        wanted = self.dialogue.replies_wanted
        match event:
            case DataReceived(data):
                self.message += data
            case TransactionAborted():
                self.message = b""
            case DataFinished(size):
                assert size == len(self.message)
                assert not BARE.search(self.message)
                self.messages.append(self.message)
                self.message = b""
                self.dialogue.reply(*[OK] * wanted)
            case DataRequested():
                self.dialogue.reply(GO_AHEAD)
            case LoginAttempted():
                self.dialogue.reply(NEVER)
            case ScramFinished():
                self.dialogue.reply(WELCOME)
            case ScramStarted():
                self.dialogue.provide_scram(VERIFIER, "n" * 16)
            case TlsRequested():
                self.dialogue.tls_established()
            case _ if wanted:
                self.dialogue.reply(*[OK] * wanted)
            case _:
                pass


def turns(octets: bytes) -> list[bytes]:
    """Cut after each command behind which a client waits."""
    cuts = [0, *(match.end() for match in WAITING.finditer(octets)), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(cuts) if start < end]


def search(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    settings = ServerSettings(
        "mx.example",
        Flavour.LMTP if provider.ConsumeBool() else Flavour.SMTP,
        frozenset(Keyword),
        ("PLAIN", "LOGIN", "SCRAM-SHA-256"),
        size_limit=provider.ConsumeIntInRange(1, 200),
        max_recipients=provider.ConsumeIntInRange(1, 4),
        tls_required=provider.ConsumeBool(),
        tolerant=provider.ConsumeBool(),
    )
    tls = provider.ConsumeBool()
    whole, single = Side(settings, tls=tls), Side(settings, tls=tls)
    octets = b""
    while provider.remaining_bytes():
        step = provider.ConsumeIntInRange(0, 15)
        octets += SHORTHANDS[step] if step < len(SHORTHANDS) else provider.ConsumeBytes(step)
    for turn in turns(octets):
        whole.dialogue.receive_data(turn)
        whole.run()
        for octet in turn:
            single.dialogue.receive_data(bytes([octet]))
            single.run()
    for side in (whole, single):
        side.dialogue.receive_eof()
        side.run()
        assert side.dialogue.closing
    assert whole.said == single.said
    assert whole.messages == single.messages


if __name__ == "__main__":
    atheris.Setup(sys.argv, search)
    atheris.Fuzz()
