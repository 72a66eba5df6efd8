"""Reading and changing the JSON files of the repositories: exact complaints, and unknown fields stay.

A field that we do not know is ignored when a file is read and kept when it is rewritten: it may be a newer
program's, or the original's. Limits: 64 KiB a file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, parse_domain, parse_mailbox

MAX_FILE_OCTETS = 65536  # a user with a hundred addresses has 4 KB
MAX_LIST = 100  # addresses or domains in one field

F = TypeVar("F")
T = TypeVar("T")


def decode_file(content: bytes, form: type[F]) -> F | Malformed:
    """Read a file of the given form; the reason names the field that is wrong."""
    if len(content) > MAX_FILE_OCTETS:
        return Malformed(f"longer than {MAX_FILE_OCTETS} octets")
    try:
        return msgspec.json.decode(content, type=form)
    except msgspec.ValidationError as error:
        return Malformed(str(error).replace("`$.", "`"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Malformed("not JSON")
    except RecursionError:
        return Malformed("too deep")


def change_file(content: bytes, changes: Mapping[str, object]) -> bytes | Malformed:
    """The file with some fields set, or removed where the value is None; all others stay where they are."""
    fields = decode_file(content, dict[str, Any]) if content else {}
    if isinstance(fields, Malformed):
        return fields
    changed = {**fields, **changes}
    return msgspec.json.encode({name: value for name, value in changed.items() if value is not None})


def read_list(
    field: str, texts: Sequence[str], read: Callable[[str], T | Malformed]
) -> tuple[T, ...] | Malformed:
    """Read each entry of a list; the reason names the field and the place. Twice the same counts once."""
    if len(texts) > MAX_LIST:
        return Malformed(f"more than {MAX_LIST} entries - at `{field}`")
    values: dict[T, None] = {}
    for index, text in enumerate(texts):
        value = read(text)
        if isinstance(value, Malformed):
            return Malformed(f"{value.reason} - at `{field}[{index}]`")
        values[value] = None
    return tuple(values)


def read_mailbox(text: str) -> Mailbox | Malformed:
    """Read an address, in angle brackets or without."""
    bare = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    return parse_mailbox(bare.encode("utf-8", "surrogatepass"), allow_utf8=True)


def read_domains(texts: Sequence[str] | None) -> tuple[Name, ...] | Malformed | None:
    """Read the field ``domains``; None where it is not there."""
    return None if texts is None else read_list("domains", texts, parse_domain)
