"""Public dialogues, fuzz sessions, ends of data and smuggling attempts, each at once and octet by octet.

The session here does what those servers do: it takes mail for ``user@testserver``, wants a header that is
one, and knows one password.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import parse_header
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    LoginAttempted,
    MailReceived,
    RecipientsReceived,
    ServerEvent,
    ServerSettings,
    TransactionAborted,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server import ServerDialogue

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]

OFFERS = frozenset(Keyword) - {Keyword.XPTT, Keyword.REQUIRETLS}
USER, PASSWORD = mailbox("user@testserver"), "secretpassword"
DEVIATIONS: dict[str, str] = {}  # id of a case -> why we differ

TAKEN = Reply(250, "2.0.0", "Taken.")
NOBODY = Reply(550, "5.1.1", "Nobody here has this name.")
NO_HEADER = Reply(554, "5.6.0", "The header cannot be read.")
GO_AHEAD = Reply(354, None, "Go ahead.")

BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
REPLY_LINE = re.compile(r"[2-5]\d\d[ -][ -~]*")
END = b"\r\n.\r\n"


class Server:
    """A server that takes mail for one user; with a ``step`` it is sent everything in pieces of that size."""

    def __init__(self, *, step: int = 0, tls: bool = False, size_limit: int = 1024 * 1024) -> None:
        settings = ServerSettings(
            "testserver",
            offers=OFFERS,
            auth_mechanisms=("PLAIN", "LOGIN"),
            size_limit=size_limit,
            tolerant=True,
        )
        self.dialogue = ServerDialogue(settings, tls=tls)
        self.dialogue.greeting()
        self.step = step
        self.anybody = False
        self.replies: list[str] = []  # the last line of each
        self.lines: list[str] = []
        self.message = b""
        self.messages: list[bytes] = []
        self.events: list[ServerEvent] = []
        self._serve()

    def send(self, data: bytes) -> list[str]:
        """Give it octets; the replies that they drew."""
        before = len(self.replies)
        step = self.step or max(len(data), 1)
        for start in range(0, len(data), step):
            self.dialogue.receive_data(data[start : start + step])
            self._serve()
        return self.replies[before:]

    def open(self) -> None:
        """Up to 354, for whatever recipient."""
        self.anybody = True
        for line in (b"EHLO a.example", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA"):
            self.send(line + b"\r\n")
        assert self.replies[-1].startswith("354"), self.replies

    def ends(self) -> None:
        """The peer has closed."""
        self.dialogue.receive_eof()
        self._serve()

    def _serve(self) -> None:
        while (event := self.dialogue.next_event()) is not None:
            self.events.append(event)
            self._react(event)
        new = b"".join(self.dialogue.data_to_send()).decode("ascii").splitlines()
        self.lines += new
        self.replies += [line for line in new if line[3] == " "]

    def _react(self, event: ServerEvent) -> None:
        match event:
            case MailReceived():
                self.message = b""
                self.dialogue.reply(TAKEN)
            case RecipientsReceived(recipients):
                self.dialogue.reply(
                    *(TAKEN if self.anybody or recipient == USER else NOBODY for recipient in recipients)
                )
            case DataRequested():
                self.dialogue.reply(GO_AHEAD)
            case DataReceived(data):
                self.message += data
            case DataFinished(size):
                assert size == len(self.message)
                self.dialogue.reply(self._judge())
            case LoginAttempted(_, login, password, authorization):
                good = (login, password) == (str(USER), PASSWORD) and authorization in {None, login}
                self.dialogue.reply(wording.LOGGED_IN if good else wording.WRONG_CREDENTIALS)
            case _:
                pass

    def _judge(self) -> Reply:
        if not self.anybody and isinstance(parse_header(self.message), Malformed):
            return NO_HEADER
        self.messages.append(self.message)
        return TAKEN

    @property
    def broken(self) -> str | None:
        """What none may ever do: a reply without the form of one, a bare line end in a message."""
        for line in self.lines:
            if not REPLY_LINE.fullmatch(line):
                return f"no reply: {line!r}"
        if any(BARE.search(message) for message in self.messages):
            return "a message with a bare line end was taken"
        return None


def load(conformance: Conformance, name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((conformance("smtp") / name).read_text("utf-8"))["cases"]
    return cases


def run(
    conformance: Conformance,
    report: Report,
    name: str,
    check: Callable[[dict[str, Any], int], str | None],
    steps: Iterable[int] = (0, 1),
) -> None:
    """Run all cases of a file, whole and in pieces, and report."""
    cases = load(conformance, name)
    failures: dict[str, str] = {}
    for case in cases:
        for step in steps:
            found = check(case, step)
            if found is not None and case["id"] not in DEVIATIONS:
                failures[case["id"]] = found if not step else f"in pieces of {step}: {found}"
    report(f"smtp/{name}", len(cases), failures)


# Dialogues


def converse(server: Server, steps: list[dict[str, Any]]) -> str | None:
    """Play one connection; gives the first reply that has another first digit.

    A server may refuse a message at its true end only: where a case stops before it, the end is sent.
    """
    position = 0
    for number, step in enumerate(steps):
        if "send" in step:
            server.send(step["send"].encode())
        elif "send_repeated" in step:
            server.send((step["send_repeated"]["text"] * step["send_repeated"]["times"]).encode())
        elif "expect_reply" in step:
            expected = step["expect_reply"]
            if position == len(server.replies) and server.replies[-1].startswith("354"):
                server.send(END)
            if position >= len(server.replies):
                return f"step {number}: no reply, expected {expected}"
            if server.replies[position][0] != expected[0]:
                return f"step {number}: {server.replies[position]}, expected {expected}"
            position += 1
    if position != len(server.replies) and "expect_reply" in steps[-1]:
        return f"more replies than expected: {server.replies[position:]}"
    return None


def check_dialogue(case: dict[str, Any], step: int) -> str | None:
    stored: list[bytes] = []
    for number, connection in enumerate(case["connections"]):
        server = Server(step=step, tls="TLS" in connection["connect"])
        found = converse(server, connection["steps"]) or server.broken
        server.ends()
        if found:
            return f"connection {number}: {found}"
        stored += server.messages
    wanted = case.get("stored_message_must_contain")
    if wanted is not None and not any(wanted.replace("\n", "\r\n").encode() in message for message in stored):
        return f"no message with {wanted!r} was taken"
    return None


def test_dialogues(conformance: Conformance, report: Report) -> None:
    run(conformance, report, "chasquid-dialogs.json", check_dialogue, (0, 4096))


def check_session(case: dict[str, Any], step: int) -> str | None:
    """Step 0: all at once. Else line by line: each draws one reply unless it is of a message."""
    octets = case["client_bytes_LF"].encode()
    whole = octets.replace(b"\n", b"\r\n")
    server = Server(tls="AUTH" in case["client_bytes_LF"])
    for line in re.findall(rb".*?\r\n|.+", whole, re.DOTALL) if step else [whole]:
        if server.dialogue.closing:
            break
        in_data = server.replies[-1].startswith("354")
        replies = server.send(line)
        draws_one = line == b".\r\n" if in_data else line.endswith(b"\r\n")
        if step and len(replies) != draws_one:
            return f"{line!r} drew {replies}"
    server.ends()
    return server.broken


def test_fuzz_sessions(conformance: Conformance, report: Report) -> None:
    run(conformance, report, "chasquid-fuzz-sessions.json", check_session)


# Ends of data


def check_data(wire: bytes, expected: str, message: bytes | None, server: Server) -> str | None:
    server.open()
    replies = server.send(wire)
    if expected.startswith("connection ends"):
        server.ends()
        return f"replied {replies}" if replies or server.messages else server.broken
    if expected == "ok":
        if server.messages != [message] or [reply[:3] for reply in replies] != ["250"]:
            return f"took {server.messages}, said {replies}, expected {message!r}"
        return server.broken
    replies = replies or server.send(END)
    code = "552" if "552" in expected else "5"
    if len(replies) != 1 or not replies[0].startswith(code) or server.messages:
        return f"took {server.messages}, said {replies}"
    if server.send(b"NOOP\r\n")[-1][:3] != "250":
        return "the connection is of no use any more"
    return server.broken


def check_strict(case: dict[str, Any], step: int) -> str | None:
    """Limits there count a line end as one octet."""
    wire = case["wire_after_354"].encode()
    line_ends = (b"\r\n" + wire).partition(END)[0].count(b"\r\n")
    limit = case["max_bytes_counted_with_LF_line_ends"] + line_ends
    message = case["message_with_LF_line_ends"].replace("\n", "\r\n").encode()
    return check_data(wire, case["expected"], message, Server(step=step, size_limit=limit))


def check_tolerant(case: dict[str, Any], step: int) -> str | None:
    """What is let through there in spite of a bare LF is refused here."""
    wire = case["wire_after_354"].encode()
    expected = "refuse" if case["expected"] == "ok" and BARE.search(wire) else case["expected"]
    message = case["message_after_unstuffing"]
    return check_data(wire, expected, message.encode() if message is not None else None, Server(step=step))


def test_data_strict(conformance: Conformance, report: Report) -> None:
    run(conformance, report, "data-receive-chasquid.json", check_strict)


def test_data_tolerant(conformance: Conformance, report: Report) -> None:
    run(conformance, report, "data-receive-mox.json", check_tolerant)


# Smuggling


def check_smuggling(case: dict[str, Any], step: int) -> str | None:
    if "whole_session_after_354" in case:
        return check_early_data(case["whole_session_after_354"].encode())
    body, then = case["data_body_bytes"].encode(), case["then"].encode()
    server = Server(step=step)
    server.open()
    replies = server.send(body)
    if replies and END not in b"\r\n" + body:
        return f"replied before the end: {replies}"
    replies += server.send(then)
    if len([event for event in server.events if isinstance(event, MailReceived)]) != 1:
        return "a second transaction was opened"
    if len(replies) != 1:
        return f"said {replies}"
    refused = replies[0][0] == "5" and not server.messages
    whole = [body.replace(b"\r\n.", b"\r\n") in message for message in server.messages] == [True]
    if not (refused or whole):
        return f"took {server.messages}, said {replies}"
    if server.send(b"NOOP\r\n")[-1][:3] != "250":
        return "the connection is of no use any more"
    return server.broken


def check_early_data(octets: bytes) -> str | None:
    """A message that was sent before its 354 could be seen: it comes with what stands before it."""
    server = Server()
    server.open()
    replies = server.send(octets)
    if len(server.messages) != 1 or replies[-1][0] != "5":
        return f"took {server.messages}, said {replies}"
    if not isinstance(server.events[-2], TransactionAborted) or not server.dialogue.closing:
        return f"the second message is not over: {server.events}"
    return server.broken


def test_smuggling(conformance: Conformance, report: Report) -> None:
    run(conformance, report, "smuggling.json", check_smuggling)


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"Subject: x\r\n"])
def test_the_checks_can_fail(message: bytes) -> None:
    server = Server()
    server.messages.append(message)
    server.lines.append("250 fine")
    assert (server.broken is not None) == (BARE.search(message) is not None)
    assert check_data(b"a\r\n.\r\n", "refuse", None, Server()) is not None
    assert check_data(b"a\n.\r\n.\r\n", "ok", b"a\n", Server()) is not None
    assert converse(Server(), [{"expect_reply": "220"}, {"send": "NOOP\r\n"}, {"expect_reply": "500"}])
