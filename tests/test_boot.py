"""The boot record and the frames of the control stream: written, cut, read, refused."""

import pytest

from ptt import boot
from ptt.boot import (
    MAX_FRAME_OCTETS,
    Answer,
    Ask,
    BootRecord,
    Changed,
    Counters,
    Drain,
    Drained,
    FrameCutter,
    GiveAnswer,
    GiveState,
    GiveStream,
    HostFrame,
    KeepState,
    Listener,
    OpenRepository,
    Peer,
    Peers,
    Probe,
    Publish,
    PutQuestion,
    Ready,
    Serving,
    Superseded,
    Time,
    UnitFrame,
    Withdraw,
    encode,
)
from ptt.errors import Malformed

RECORD = BootRecord("signer", 3, "mail.example", "abc", {"domains": ["example.org"]}, {"dkim_keys": "PEM"})
PEER = Peer("relay", 2, "10.0.0.3", 40001, b"\x30\x82")

HOST_FRAMES: tuple[HostFrame, ...] = (
    Publish((Listener("hop", "10.0.0.2", 2424), Listener("smtp", "::", 25))),
    Withdraw(("smtp",)),
    Drain(900.0),
    Peers((PEER,), (PEER, PEER)),
    GiveState((("k", b"\0\xff"), ("l", b""))),
    GiveAnswer(7, None),
    GiveAnswer(8, b"yes"),
    PutQuestion(9, "relay", b"?"),
    Superseded(),
    GiveStream(3),
    GiveStream(4, "no such repository"),
    Changed("relay"),
    Probe("login", b"once"),
    Time(1.5),
)
UNIT_FRAMES: tuple[UnitFrame, ...] = (
    Ready(b"der"),
    Counters({"accepted": 3, "sessions": 0.5}),
    KeepState("k", b"\0"),
    Serving(("dns", "dns_udp")),
    Ask(1, "relay", b"?"),
    Answer(9, b"yes"),
    Answer(10, None),
    OpenRepository(3, "relay", "upload-pack"),
    Drained(),
)


def bodies(data: bytes) -> list[bytes]:
    cut = FrameCutter().feed(data)
    assert not isinstance(cut, Malformed)
    return cut


def test_what_is_written_is_read_again() -> None:
    (body,) = bodies(encode(RECORD))
    assert boot.decode_boot_record(body) == RECORD
    host = bodies(b"".join(encode(frame) for frame in HOST_FRAMES))
    assert [boot.decode_host_frame(body) for body in host] == list(HOST_FRAMES)
    unit = bodies(b"".join(encode(frame) for frame in UNIT_FRAMES))
    assert [boot.decode_unit_frame(body) for body in unit] == list(UNIT_FRAMES)


def test_neither_side_speaks_for_the_other() -> None:
    for frame in UNIT_FRAMES:
        assert isinstance(boot.decode_host_frame(encode(frame)[4:]), Malformed)
    for other in HOST_FRAMES:
        assert isinstance(boot.decode_unit_frame(encode(other)[4:]), Malformed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b"\xc1", "malformed"),
        (b"\x80", "missing required field `unit`"),
        (b"\x81\xa4unit\x05", "Expected `str`, got `int` - at `$.unit`"),
        (b"\x81\xa5color\x05", "unknown field `color`"),
        (b"\x81\xa4unit\xa1\xff", "codec can't decode"),
        (b"\x81\xa8settings\x81\xa1a" + b"\x91" * 100_000, "nested too deeply"),
        (encode(RECORD)[4:] + b"\0", "trailing"),
    ],
)
def test_a_record_of_the_wrong_shape_is_refused_with_the_place(body: bytes, reason: str) -> None:
    refused = boot.decode_boot_record(body)
    assert isinstance(refused, Malformed)
    assert reason in refused.reason


def test_a_frame_that_is_too_long_loses_the_stream() -> None:
    cutter = FrameCutter()
    assert cutter.feed(MAX_FRAME_OCTETS.to_bytes(4, "big")) == []
    too_long = (MAX_FRAME_OCTETS + 1).to_bytes(4, "big")
    assert FrameCutter().feed(too_long) == Malformed(f"a frame of {MAX_FRAME_OCTETS + 1} octets")
