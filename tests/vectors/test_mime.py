"""Whole messages against the public cases of ``conformance/mime``.

Where mail-parser's result is known: same tree, decoded text, addresses, dates, subjects and file names. On
malformed mail another reading can be as good: each deviation has its reason. Elsewhere: no crash, bounded
time, and spans that lie in each other.
"""

import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ptt.errors import Malformed
from ptt.protocol.mail.address_list import NamedMailbox, parse_named_addresses
from ptt.protocol.mail.date import parse_date
from ptt.protocol.mail.encoded_words import decode_words
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mail.mime import Part, parse_mime
from ptt.protocol.mail.transfer import decode_base64, decode_quoted_printable, encode_base64

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]
Json = dict[str, Any]

SECONDS_PER_MESSAGE = 5  # the largest takes some 20 ms; a busy machine is no failure

DEVIATIONS = {
    "malformed/000": "a header that runs into the next delimiter is a header, its part has an empty body",
    "malformed/020": "of two Content-Type fields the first counts, as in most programs",
    "thirdparty/002": "base64 ends at its padding; what stands behind it is no part of the data",
    "thirdparty/005": "a delimiter is a whole line (RFC 2046 §5.1.1), also where UTF-16 text has no line end",
}
SHARED_BOUNDARY = (
    "nested multiparts whose boundaries begin alike: whole lines are compared, the outer one first"
)
NO_END = "an inner multipart without its end: the outer one's delimiter ends it (RFC 2046 §5.1.2)"


def boundaries_of(message: Json) -> Iterator[str]:
    for part in message["parts"]:
        for header in part["headers"]:
            value = header["value"]
            content_type = value.get("ContentType") if isinstance(value, dict) else None
            for attribute in (content_type or {}).get("attributes") or []:
                if attribute["name"] == "boundary":
                    yield attribute["value"]
        if "Message" in part["body"]:
            yield from boundaries_of(part["body"]["Message"])


def excuse(name: str, data: bytes, message: Json) -> str | None:
    """Say why another tree is as good, None where it is not."""
    if name in DEVIATIONS:
        return DEVIATIONS[name]
    boundaries = list(boundaries_of(message))
    for place, one in enumerate(boundaries):
        if any(other.startswith(one) or one.startswith(other) for other in boundaries[place + 1 :]):
            return SHARED_BOUNDARY
    if len(boundaries) > 1 and any(f"--{each}--".encode() not in data for each in boundaries):
        return NO_END
    return None


def flat(part: Part) -> list[Part]:
    """Give the parts that mail-parser numbers: those of embedded messages are numbered anew."""
    children = part.children if part.content_type.type == "multipart" else ()
    return [part, *(each for child in children for each in flat(child))]


def is_same(got: str, expected: str) -> bool:
    """Whether two texts are the same, line ends aside; what mail-parser gave up on may be read better."""
    pattern = ".{1,2}?".join(re.escape(piece) for piece in expected.replace("\r", "").split("\ufffd"))
    return re.fullmatch(pattern, got.replace("\r", ""), re.DOTALL) is not None


def tree_faults(message: Json, root: Part) -> Iterator[str]:
    parts, expected = flat(root), message["parts"]
    if len(parts) != len(expected):
        yield f"{len(parts)} parts, expected {len(expected)}"
        return
    for number, (part, wanted) in enumerate(zip(parts, expected, strict=True)):
        for fault in [*part_faults(part, wanted["body"]), *header_faults(part, wanted["headers"])]:
            yield f"part {number}: {fault}"


def part_faults(part: Part, body: Json) -> Iterator[str]:
    kind, value = next(iter(body.items()))
    match kind:
        case "Multipart":
            if bool(part.children) is not bool(value):
                yield "a multipart without parts"
        case "Message":
            yield from tree_faults(value, part.children[0]) if part.children else ["no message"]
        case "Text" | "Html":
            if part.children or not is_same(part.text(), value):
                yield f"text {part.text()!r}, expected {value!r}"
        case _:
            if part.content() != bytes(value):
                yield f"content {part.content()[:80]!r}"


def header_faults(part: Part, headers: list[Json]) -> Iterator[str]:
    if len(part.fields) != len(headers):
        yield f"{len(part.fields)} fields, expected {len(headers)}"
        return
    names = []
    for field, header in zip(part.fields, headers, strict=True):
        value: Json = header["value"] if isinstance(header["value"], dict) else {"Empty": None}
        kind, wanted = next(iter(value.items()))
        if str(header["name"]).startswith("list_"):
            continue  # URIs (RFC 2369) and a phrase (RFC 2919), read by that parser as addresses
        if kind == "ContentType":
            pairs = wanted["attributes"] or []
            names += [pair["value"] for pair in pairs if pair["name"] in {"name", "filename"}]
        elif kind == "Address" and not is_same_addresses(field.value, wanted):
            yield f"addresses {field.value!r}"
        elif kind == "DateTime" and not is_same_date(field.value, wanted):
            yield f"date {field.value!r}"
        elif header["name"] == "subject" and not is_same(decode_words(field.value), wanted or ""):
            yield f"subject {decode_words(field.value)!r}"
    if names and not any(is_same(part.filename or "", name) for name in names):
        yield f"file name {part.filename!r}, expected {names}"


def is_same_addresses(value: bytes, wanted: Json) -> bool:
    got = parse_named_addresses(value)
    entries = wanted.get("List") or [each for group in wanted["Group"] for each in group["addresses"]]
    expected = [(each["name"] or "", each["address"].lower()) for each in entries if each["address"]]
    boxes = [] if isinstance(got, Malformed) else [each for each in got if isinstance(each, NamedMailbox)]
    found = [(decode_words(each.display_name or each.comment), str(each.mailbox).lower()) for each in boxes]
    return len(found) == len(expected) and all(
        address == wanted_address and is_same(name, wanted_name)
        for (name, address), (wanted_name, wanted_address) in zip(found, expected, strict=True)
    )


def is_same_date(value: bytes, wanted: Json) -> bool:
    got = parse_date(value)
    parts = tuple(wanted[part] for part in ("year", "month", "day", "hour", "minute", "second"))
    return not isinstance(got, Malformed) and got.timetuple()[:6] == parts


def test_mail_parser(conformance: Conformance, report: Report) -> None:
    folder = conformance("mime") / "mail-parser"
    ran, deviating, failures = 0, 0, {}
    for path in sorted(folder.glob("*/*.eml")):
        name = f"{path.parent.name}/{path.stem}"
        lines = path.read_bytes().replace(b"\r\n", b"\n")
        for suffix, data in ((".json", lines), (".crlf.json", lines.replace(b"\n", b"\r\n"))):
            message = json.loads(path.with_suffix(suffix).read_text("utf-8"))
            faults = list(tree_faults(message, parse_mime(data)))
            ran += 1
            if faults and excuse(name, data, message):
                deviating += 1
            elif faults:
                failures[name + suffix] = "; ".join(faults)[:1000]
    report(f"mime/mail-parser ({deviating} deviate with a reason)", ran, failures)


def messages(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".xz":
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None:
                        yield member.name, file.read()
        elif path.is_file() and path.suffix != ".json":
            yield str(path.relative_to(folder)), path.read_bytes()


def span_faults(part: Part) -> Iterator[str]:
    fields = b"".join(each.raw for each in part.fields)
    if part.data[part.start : part.body_start].removeprefix(fields) not in {b"", b"\n", b"\r\n"}:
        yield "the header is not the sum of its fields"
    position = part.body_start
    for child in part.children:
        if child.data is part.data and not position <= child.start <= child.end <= part.end:
            yield "a part that does not lie in its parent"
        position = child.end
        yield from span_faults(child)


def faults_of(data: bytes) -> Iterator[str]:
    begin = time.process_time()
    root = parse_mime(data)
    for part in root.walk():
        if part.encoding in {"", "7bit", "8bit", "binary"} and part.content() != part.body:
            yield "a body that nothing encodes differs from its content"
        _ = (part.text(), part.filename, part.subject, part.disposition)  # none of them may raise
        for field in part.fields:
            decode_words(field.value)
            parse_named_addresses(field.value)
    yield from span_faults(root)
    header = parse_header(data)
    if isinstance(header, Header) and b"".join(header.without(lambda _: False)) != data[: header.size]:
        yield "the header is not what it was"
    if time.process_time() - begin > SECONDS_PER_MESSAGE:
        yield "too slow"


def test_messages_without_expectation(conformance: Conformance, report: Report) -> None:
    ran, failures = 0, {}
    for name, data in messages(conformance("mime")):
        ran += 1
        faults = list(faults_of(data))
        if faults:
            failures[name] = "; ".join(faults)
    report("mime (no expectation)", ran, failures)


def test_encoders(conformance: Conformance, report: Report) -> None:
    folder = conformance("mime") / "mimekit" / "encoders"
    photo, text = (folder / "photo.jpg").read_bytes(), (folder / "wikipedia.txt").read_bytes()
    verdicts = {
        "photo.b64": decode_base64((folder / "photo.b64").read_bytes()) == photo,
        "photo.jpg": decode_base64(encode_base64(photo)) == photo,
        "wikipedia.qp": decode_quoted_printable((folder / "wikipedia.qp").read_bytes()) == text,
    }
    report(
        "mime/mimekit/encoders", len(verdicts), {name: "differs" for name, ok in verdicts.items() if not ok}
    )
