"""Wire corpus and signatures (``dns-message``): a message that survives writing, or ``Malformed``."""

import json
import lzma
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dns.exception
import dns.message

from ptt.errors import Malformed
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.quick_question import read_quickly
from ptt.protocol.dns.stub_server import read_question
from ptt.protocol.dns.tsig import Signed, check, make_key

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]
MAX_SECONDS_EACH = 2.0


def packets(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of the corpus; those in hexadecimal are one packet a line."""
    with lzma.open(archive) as packed, tarfile.open(fileobj=packed) as corpus:
        for member in corpus:
            file = corpus.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            data = file.read()
            yield member.name, data
            if "test_packets" in member.name:
                for number, line in enumerate(data.decode("latin-1").splitlines()):
                    text = "".join(line.partition(";")[0].split())
                    if text and len(text) % 2 == 0 and set(text.lower()) <= set("0123456789abcdef"):
                        yield f"{member.name}:{number}", bytes.fromhex(text)


def fault_of(wire: bytes) -> str | None:
    began = time.perf_counter()
    message = read_message(wire)
    read_question(wire)
    read_quickly(wire)
    if time.perf_counter() - began > MAX_SECONDS_EACH:
        return "takes too long"
    if isinstance(message, Malformed):
        return None
    try:
        written = message.to_wire()
    except dns.exception.TooBig:
        return None  # names that were compressed beyond what the codec's writer does
    again = read_message(written)
    if isinstance(again, Malformed):
        return f"what was written is {again.reason}"
    return None if again == message else "changed by writing"  # whatever the order within a record set


def test_wire_corpus(conformance: Conformance, report: Report) -> None:
    ran, failures = 0, {}
    for name, wire in packets(conformance("dns-message") / "wire-corpus.tar.xz"):
        ran += 1
        fault = fault_of(wire)
        if fault is not None:
            failures[name] = fault
    report("dns-message/wire-corpus", ran, failures)


def test_signatures(conformance: Conformance, report: Report) -> None:
    """TSIG: verifies, but not with another secret nor at another time. SIG(0) is not for us."""
    ran, failures = 0, {}
    for case in json.loads((conformance("dns-message") / "tsig-sig0.json").read_text())["cases"]:
        if "secret_hex" not in case:
            continue
        ran += 1
        wire = bytes.fromhex(case["wire_hex"])
        message = read_message(wire)
        assert isinstance(message, dns.message.Message)
        name, now = Name.of(case["key_name"]), case["now"]
        secret = bytes.fromhex(case["secret_hex"])
        good = {name: make_key(name, Name.of(case["algorithm"]), secret)}
        other = {name: make_key(name, Name.of(case["algorithm"]), secret + b"x")}
        if not isinstance(check(wire, message, good, now), Signed):
            failures[case["id"]] = "does not verify"
        elif isinstance(check(wire, message, other, now), Signed):
            failures[case["id"]] = "verifies with another secret"
        elif isinstance(check(wire, message, good, now + 301), Signed):
            failures[case["id"]] = "verifies long after"
    report("dns-message/tsig", ran, failures)
