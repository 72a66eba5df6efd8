"""Whatever comes over the control stream has a defined result, and pieces do not matter."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from ptt import boot
from ptt.boot import BootRecord, Frame, FrameCutter, HostFrame, UnitFrame, encode
from ptt.errors import Malformed

TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
RECORDS = st.builds(
    BootRecord,
    unit=TEXT,
    generation=st.integers(0, 2**63),
    host_name=TEXT,
    digest=TEXT,
    settings=st.dictionaries(TEXT, VALUES, max_size=4),
    secrets=st.dictionaries(TEXT, TEXT, max_size=4),
)
st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(int, st.integers(0, 2**63 - 1))
HOST_FRAMES = st.one_of(*(st.from_type(kind) for kind in get_args(HostFrame)))
UNIT_FRAMES = st.one_of(*(st.from_type(kind) for kind in get_args(UnitFrame)))


@given(st.binary() | st.builds(lambda value: encode(value)[4:], RECORDS | HOST_FRAMES | UNIT_FRAMES))
def test_any_body_has_a_defined_result(body: bytes) -> None:
    assert isinstance(boot.decode_boot_record(body), BootRecord | Malformed)
    assert isinstance(boot.decode_host_frame(body), (*get_args(HostFrame), Malformed))
    assert isinstance(boot.decode_unit_frame(body), (*get_args(UnitFrame), Malformed))


@given(RECORDS, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_damaged_record_has_a_defined_result(record: BootRecord, place: int, damage: bytes) -> None:
    body = encode(record)[4:]
    damaged = body[:place] + damage + body[place + len(damage) :]
    assert isinstance(boot.decode_boot_record(damaged), BootRecord | Malformed)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: BootRecord) -> None:
    assert boot.decode_boot_record(encode(record)[4:]) == record


@given(st.lists(HOST_FRAMES | UNIT_FRAMES, max_size=4), st.lists(st.integers(1, 40)))
def test_pieces_do_not_matter(frames: list[Frame], sizes: list[int]) -> None:
    whole = b"".join(encode(frame) for frame in frames)
    cutter, found, start = FrameCutter(), [], 0
    for size in (*sizes, len(whole)):
        cut = cutter.feed(whole[start : start + size])
        assert not isinstance(cut, Malformed)
        found += cut
        start += size
    assert [len(body).to_bytes(4, "big") + body for body in found] == [encode(frame) for frame in frames]


@given(HOST_FRAMES, UNIT_FRAMES)
def test_frames_are_read_as_they_were_written(host: HostFrame, unit: UnitFrame) -> None:
    assert boot.decode_host_frame(encode(host)[4:]) == host
    assert boot.decode_unit_frame(encode(unit)[4:]) == unit


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_any_stream_is_cut_or_lost(pieces: list[bytes]) -> None:
    cutter = FrameCutter()
    for piece in pieces:
        cut = cutter.feed(piece)
        assert isinstance(cut, list | Malformed)
        if isinstance(cut, Malformed):
            break
