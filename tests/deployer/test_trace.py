"""The sentence at the top of ``ptt trace``, and the order of what stands below."""

from datetime import UTC, datetime, timedelta

import pytest

from ptt.deployer.trace import make_trace, read_words
from ptt.records.journal import JournalLine

ID = "f38395fba26c0aefa94e"
END = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)


def line(unit: str, outcome: str, **more: object) -> JournalLine:
    fields: dict[str, object] = {
        "at": END,
        "event": "transaction",
        "unit": unit,
        "generation": 1,
        "trace": ID,
        "outcome": outcome,
        "reverse_path": "bob@remote.com",
        "forward_paths": ("alice@mirage.org",),
        "forward_path_count": 1,
        "duration_ms": 80.0,
        **more,
    }
    return JournalLine(**fields)  # type: ignore[arg-type] # named above


def sentence(*lines: JournalLine) -> str:
    trace = make_trace(ID, lines)
    assert trace is not None
    return trace.sentence


OUT = {"login": "alice", "reverse_path": "alice@mirage.org", "forward_paths": ("bob@remote.com",)}
SERVER = {"peer": "198.51.100.25"}
FULL = "home.com at end of data: 452 4.2.2 mailbox full; try later"
GONE = "mx1.remote.com at RCPT: 550 5.1.1 No such user here"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [
                line(
                    "relay",
                    "250 2.0.0 Ok",
                    detail="alice@home.com: mail.home.com at end of data: 250 2.0.0 Ok",
                ),
                line("receiver", "250 2.0.0 Delivered", **SERVER),
            ],
            "Delivered: bob@remote.com's mail to alice@mirage.org is at mail.home.com.",
        ),
        (
            [
                line(
                    "relay",
                    "250 2.0.0 Ok",
                    detail="a@home.com: mail.home.com at end: 250 Ok; b@gone.com: gone.com at RCPT: 550 no",
                ),
                line("receiver", "250 2.0.0 Delivered", **SERVER),
            ],
            (
                "Delivered: bob@remote.com's mail to alice@mirage.org is at mail.home.com."
                ' Not at b@gone.com: "no".'
            ),
        ),
        (
            [
                line("relay", "451 4.2.2 Later", detail=f"alice@home.com: {FULL}"),
                line("receiver", "451 4.2.2 Later", **SERVER),
            ],
            (
                'Not taken for now by home.com: "mailbox full; try later".'
                " The server at 198.51.100.25 will try again."
            ),
        ),
        (
            [
                line("relay", "given up by the peer", detail=f"nobody@remote.com: {GONE}", **OUT),
                line("submission", "given up by the peer", **OUT),
            ],
            (
                'Refused by mx1.remote.com: "No such user here".'
                " Alice's mail program was told so, and still has the mail."
            ),
        ),
        (
            [line("receiver", "550 5.7.1 That author is ours.", detail="spf=pass dmarc=fail", **SERVER)],
            (
                "Refused by us: That author is ours (spf=pass dmarc=fail)."
                " The server at 198.51.100.25 was told so, and still has the mail."
            ),
        ),
        (
            [line("submission", "451 4.3.0 A part is not available.", **OUT)],
            (
                "Not taken for now by us: A part is not available."
                " Alice's mail program still has the mail and can send it again."
            ),
        ),
        (
            [line("submission", "given up by the peer", **OUT)],
            (
                "Not sent: alice's mail to bob@remote.com was given up by alice's mail program"
                " before it was whole."
            ),
        ),
        (
            [line("relay", "250 2.0.0 Ok", detail="alice@home.com: mail.home.com at end of data: 250 Ok")],
            "The end is not known here: relay tells last (250 2.0.0 Ok).",
        ),
        (
            [
                line("relay", "554 5.0.0 No", detail=f"a@b.c: {GONE}; d@e.f: nobody there", **OUT),
                line("submission", "554 5.0.0 No", **OUT),
            ],
            (
                'Refused by mx1.remote.com: "No such user here"; d@e.f: "nobody there".'
                " Alice's mail program was told so, and still has the mail."
            ),
        ),
    ],
)
def test_the_plain_sentence(lines: list[JournalLine], told: str) -> None:
    assert sentence(*lines) == told


def test_steps_go_from_the_edge_inwards() -> None:
    lines = [
        line("relay", "250", duration_ms=70.0),
        line("spam_filter", "250", duration_ms=90.0),
        line("receiver", "250", at=END + timedelta(milliseconds=5), duration_ms=105.0),
        line("receiver", "250", trace="another"),
    ]
    trace = make_trace(ID, lines)
    assert trace is not None
    assert [step.line.unit for step in trace.steps] == ["receiver", "spam_filter", "relay"]
    assert [step.offset_ms for step in trace.steps] == [0, 10, 30]
    assert trace.began == END - timedelta(milliseconds=100)


def test_an_unknown_id_gives_nothing() -> None:
    assert make_trace("none", [line("relay", "250")]) is None


def test_words_with_semicolons_stay_whole() -> None:
    words = read_words(f"alice@home.com: {FULL}; bob@x.org: mx.x.org at RCPT: 250 fine; and more")
    assert [(word.target, word.host, word.stage, word.kind) for word in words] == [
        ("alice@home.com", "home.com", "end of data", "4"),
        ("bob@x.org", "mx.x.org", "RCPT", "2"),
    ]
    assert words[1].text == "250 fine; and more"
