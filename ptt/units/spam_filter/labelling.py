"""What stands in front of a message when it goes on, and what is taken out of it [F1 F6].

The label is ours alone: fields of its names that came with the message are removed whole, folded lines
included, up to the first empty line; so also behind a line that is no field, where some reader would still
see them. All other octets stay as they are. Limits: 256 KiB are searched, like any header that is read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.protocol.mail.header import MAX_HEADER_OCTETS
from ptt.records.spam_model import Decision, Model, Score, score

READ_OCTETS = 1_000_000  # of a message are taken apart; of what is behind only names of files are read

_EMPTY_LINE = re.compile(rb"(?:\A|\n)\r?\n")
_REST_OF_FIELD = rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)"
_OURS = re.compile(rb"^X-Spamtacus(?:-Score)?" + _REST_OF_FIELD, re.IGNORECASE | re.MULTILINE)
_OURS_AND_STATUS = re.compile(
    rb"^(?:X-Spamtacus(?:-Score)?|X-Spam-Status)" + _REST_OF_FIELD, re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """``message``: what is handed on; ``summary``: for the journal."""

    message: tuple[bytes, ...]
    summary: str


def label_message(buffers: Sequence[bytes], model: Model | None, *, x_spam_status: bool = False) -> Labelled:
    """Judge a message, whatever it is, and put the label in front."""
    start, rest = _beginning(buffers, READ_OCTETS)
    result = score(model, start, rest)
    message = (
        _label(result, x_spam_status=x_spam_status),
        *without_labels(buffers, x_spam_status=x_spam_status),
    )
    return Labelled(message, _summary(result))


def without_labels(buffers: Sequence[bytes], *, x_spam_status: bool = False) -> tuple[bytes, ...]:
    """The message without what others wrote under our names."""
    start, rest = _beginning(buffers, MAX_HEADER_OCTETS)
    empty = _EMPTY_LINE.search(start)
    end = empty.start() + 1 if empty else len(start)
    kept, position = [], 0
    for forged in (_OURS_AND_STATUS if x_spam_status else _OURS).finditer(start, 0, end):
        kept.append(start[position : forged.start()])
        position = forged.end()
    if position == 0:
        return tuple(buffers)
    return tuple(span for span in (*kept, start[position:], *rest) if span)


def _beginning(buffers: Sequence[bytes], octets: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Whole buffers joined, until there are so many octets, and the others."""
    held, index = 0, 0
    while index < len(buffers) and held < octets:
        held += len(buffers[index])
        index += 1
    start = buffers[0] if index == 1 else b"".join(buffers[:index])
    return start, tuple(buffers[index:])


def _label(result: Score, *, x_spam_status: bool) -> bytes:
    label = f"X-Spamtacus: {result.decision}\r\n"
    if result.probability is not None:
        label += f"X-Spamtacus-Score: {result.probability:.3f}\r\n"
    if x_spam_status:
        answer = "Yes" if result.decision is Decision.YES else "No"
        value = "" if result.probability is None else f", score={result.probability:.3f}"
        label += f"X-Spam-Status: {answer}{value}\r\n"
    return label.encode()


def _summary(result: Score) -> str:
    value = "" if result.probability is None else f" {result.probability:.3f}"
    reason = f" ({result.reason})" if result.reason else ""
    return f"spam={result.decision}{value}{reason}"
