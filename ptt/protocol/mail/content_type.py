"""Content-Type and Content-Disposition (RFC 2045 §5, RFC 2183) with parameters of RFC 2231.

Read as real programs write them: missing semicolons, unclosed quotes, blanks in unquoted file names, encoded
words where RFC 2231 forbids them, comments. Values are text; one charset is that of the first section.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ptt.errors import Malformed
from ptt.protocol.mail.charsets import decode
from ptt.protocol.mail.encoded_words import decode_words

MAX_PARAMETERS = 100  # nobody needs ten; sections of long file names (RFC 2231 §3) count each

# A comment is taken for one only behind white space: `name=copy(2).pdf` holds none.
_COMMENT_OR_QUOTED = re.compile(rb'("(?:[^"\\]|\\.)*"?)|(?:(?<=[\s;])|\A)\((?:[^()\\]|\\.)*\)', re.DOTALL)
_TYPE = re.compile(rb"\s*([^/;\s]+)\s*(?:/\s*([^;\s]*))?")
_PARAMETER = re.compile(
    rb'[\s;]*([^=;\s"]+)\s*=\s*'
    rb'(?:"((?:[^"\\]|\\.)*)"?'
    rb"|([^;\s]+(?:\s+(?:=\?[^;\s]*|[^;=\s]+(?=[;\s]|\Z)))*)?)",
    re.DOTALL,
)
_NO_PARAMETER = re.compile(rb"[\s;]*[^;\s]*")
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?")
_EXTENDED = re.compile(rb"([^']*)'[^']*'(.*)", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A value with parameters; ``subtype`` is None where there is no slash, as in Content-Disposition.

    Types and parameter names are in lower case. A parameter that stands twice counts the first time.
    """

    type: str
    subtype: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def full_type(self) -> str:
        """``type/subtype``."""
        return self.type if self.subtype is None else f"{self.type}/{self.subtype}"

    def parameter(self, name: str) -> str | None:
        """Give the value of a parameter (name in lower case)."""
        return next((value for each, value in self.parameters if each == name), None)


TEXT_PLAIN = ContentType("text", "plain")  # RFC 2045 §5.2: what a part without Content-Type is


def parse_content_type(value: bytes) -> ContentType | Malformed:
    """Read the value of Content-Type or Content-Disposition."""
    value = _COMMENT_OR_QUOTED.sub(lambda match: match[1] or b" ", value)
    match = _TYPE.match(value)
    if match is None:
        return Malformed("no type")
    subtype = match[2] and decode(match[2].lower(), "utf-8")
    return ContentType(decode(match[1], "utf-8").lower(), subtype or None, _parameters(value[match.end() :]))


def _parameters(text: bytes) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, value, is_quoted in _raw_parameters(text):
        match = _SECTION.fullmatch(name)
        if match is None:
            continue
        if match[2] is None and match[3] is None:
            found.setdefault(name, decode_words(value) if not is_quoted else decode_words(_unquoted(value)))
        else:
            plain = _unquoted(value) if is_quoted else value
            of_this = sections.setdefault(match[1], {})
            of_this.setdefault(int(match[2] or 0), (plain, match[3] is not None))
    for name, parts in sections.items():  # RFC 2231 §3: what is in sections is the better copy
        found[name] = _joined([part for _, part in sorted(parts.items())])
    return tuple(found.items())


def _raw_parameters(text: bytes) -> list[tuple[str, bytes, bool]]:
    parameters: list[tuple[str, bytes, bool]] = []
    position = 0
    while position < len(text) and len(parameters) < MAX_PARAMETERS:
        match = _PARAMETER.match(text, position)
        if match is None:
            skipped = _NO_PARAMETER.match(text, position)
            position = len(text) if skipped is None else max(skipped.end(), position + 1)
            continue
        position = match.end()
        name, quoted, bare = match.groups()
        value = bare if quoted is None else quoted
        if value:
            parameters.append((decode(name, "utf-8").lower(), value, quoted is not None))
    return parameters


def _joined(sections: list[tuple[bytes, bool]]) -> str:
    """Put sections together: percent-decoded where marked, the first names the charset (RFC 2231 §4.1)."""
    charset = "utf-8"
    first, is_extended = sections[0]
    if is_extended and (match := _EXTENDED.fullmatch(first)):
        charset = match[1].decode("ascii", "replace") or charset
        sections = [(match[2], True), *sections[1:]]
    octets = b"".join(unquote_to_bytes(part) if extended else part for part, extended in sections)
    return decode(octets, charset)


def _unquoted(value: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", value.replace(b"\r\n", b"").replace(b"\n", b""))
