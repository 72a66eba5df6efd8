"""What goes on the wire after 354, and what must not: the sender's half of the end-of-data vectors."""

import json
from collections.abc import Callable
from pathlib import Path

from ptt.errors import Malformed
from ptt.protocol.smtp.sending import DotStuffer, find_bad_line_end


def test_sending(
    conformance: Callable[[str], Path], report: Callable[[str, int, dict[str, str]], None]
) -> None:
    cases = json.loads((conformance("smtp") / "data-send-mox.json").read_text("utf-8"))["cases"]
    failures = {}
    for case in cases:
        message = case["message"].encode("utf-8")
        stuffer = DotStuffer()
        buffers = stuffer.feed(message)
        end = stuffer.finish()
        told = find_bad_line_end([message])
        if case["expected"].startswith("refuse"):
            if not isinstance(end, Malformed) or told is None:
                failures[case["id"]] = f"sent {buffers} {end!r}"
        elif isinstance(end, Malformed) or told is not None:
            failures[case["id"]] = f"refused: {end!r} {told}"
        elif b"".join([*buffers, end]) != case["wire_after_354"].encode("utf-8"):
            failures[case["id"]] = f"sent {buffers} {end!r}"
    report("smtp/data-send-mox.json", len(cases), failures)
