"""What is wrong in a file of ``relay.git`` or ``passwords.git``: at which line, in which field, and the mend.

The readers in ``users`` and ``logins`` name the field; here it is found in the file's text, which an operator
may have written over many lines.
"""

import json
import re
from collections.abc import Callable

from ptt.errors import Malformed
from ptt.records.faults import Fault

_PLACE = re.compile(r" - at `([^`]*)`$")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_MENDS = {
    "targets": 'each target is an address, as "alice@example.com"; see docs/aliases.md',
    "insecure": "write true or false, without quotes",
    "reveal": "write true or false, without quotes",
    "catch_all": "write true or false, without quotes; a pattern needs none",
    "domains": 'domains of yours, as ["example.org"]; leave it out for all of them',
    "need": 'write "any" or "all"',
    "action": 'write "forward", "drop", "defer" or "refuse"',
    "text": 'one line of plain ASCII, with "action": "defer" or "refuse"',
    "senders": 'as "alice@example.com", "@example.com" for all there, "<>" for bounces',
    "pattern": "docs/aliases.md says what an expression may hold",
    "password": "make a new one: ptt user passwd",
    "verifier": "make a new one: ptt user passwd",
    "send_as": 'as "alice@example.com", or "@example.com" for all of a domain',
}
_NAME_MEND = "name the file as what stands before the @, in quotes if there are blanks"
_FORM_MEND = 'it looks like this: {"targets": ["alice@example.com"], "insecure": false}'


def mistake_in(
    file_name: str, content: bytes, parse: Callable[[str, bytes], object | Malformed]
) -> Fault | None:
    """What a reader finds wrong in a file, with its place and the mend; None where all is well."""
    read = parse(file_name, content)
    if not isinstance(read, Malformed):
        return None
    if "file's name" in read.reason:
        return Fault(0, read.reason, _NAME_MEND)
    found = _PLACE.search(read.reason)
    if found is None:
        missing = re.search(r"missing required field `(\w+)`", read.reason)
        return Fault(_line_of_form(content), read.reason, _MENDS[missing[1]] if missing else _FORM_MEND)
    path = found[1]
    field = path.partition("[")[0]
    what = f"{path}: {read.reason[: found.start()]}"
    return Fault(line_of(content, path), what, _MENDS.get(field, _FORM_MEND))


def line_of(content: bytes, path: str) -> int:
    """The line, from 1, of a field's value (``targets``) or of an entry of its list (``targets[1]``)."""
    text = content.decode("utf-8", "replace")
    keys: list[str] = []  # of each open bracket: the name or number of what stands in it now
    word = ""
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark not in {":", ",", "}", "]"} and keys and "".join(keys) == path:
            return text.count("\n", 0, token.start()) + 1
        match mark:
            case "{" | "[":
                keys.append("" if mark == "{" else "[0]")
            case "}" | "]":
                del keys[-1:]
            case ":":
                keys[-1:] = [word]
            case ",":
                keys[-1:] = [_following(each) for each in keys[-1:]]
            case _:
                word = _unquoted(mark)
    return 1


def _following(key: str) -> str:
    """What stands behind a comma: the next entry of a list, or a name that is still to come."""
    return f"[{int(key[1:-1]) + 1}]" if key.startswith("[") else ""


def _unquoted(mark: str) -> str:
    # A name that looks like a place in a list is none of our fields.
    return mark[1:-1] if re.fullmatch(r'"\w*"', mark) else ""


def _line_of_form(content: bytes) -> int:
    """Where it stops being JSON; 1 where it is JSON."""
    try:
        json.loads(content)
    except json.JSONDecodeError as error:
        return error.lineno
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    except RecursionError:
        return 1
    return 1
