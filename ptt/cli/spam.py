"""``ptt spam``: makes a model from mail that somebody has sorted, and says what it thinks of a message.

The folder has ``spam`` and ``ham`` below it, one raw message a file, at any depth [F4]. The same files give
the same model, octet by octet.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from ptt.errors import ConfigError, Malformed
from ptt.records.spam_model import parse_model, score, train

MAX_MESSAGE_OCTETS = 64 * 1024 * 1024  # more than any message; a folder of something else is noticed


def train_model(folder: Path, into: Path, *, as_json: bool) -> None:
    """Read the folder, write the model."""
    spam, ham = _files(folder / "spam"), _files(folder / "ham")
    model = train(_messages(spam, "spam", as_json), _messages(ham, "ham", as_json)).encode()
    into.write_bytes(model)
    told = {"model": str(into), "octets": len(model), "spam": len(spam), "ham": len(ham)}
    line = (
        json.dumps(told)
        if as_json
        else f"{into}: {len(model)} octets from {len(spam)} spam and {len(ham)} ham"
    )
    sys.stdout.write(line + "\n")


def score_message(model: Path, message: Path, *, as_json: bool) -> None:
    """Say what a model thinks of a message."""
    parsed = parse_model(_read(model))
    if isinstance(parsed, Malformed):
        raise ConfigError(str(model), parsed.reason, "make one: ptt spam train FOLDER MODEL")
    found = score(parsed, _read(message))
    probability = None if found.probability is None else round(found.probability, 3)
    if as_json:
        told = {"decision": found.decision.value, "probability": probability, "reason": found.reason}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        shown = "-" if probability is None else f"{probability:.3f}"
        sys.stdout.write(f"{found.decision.value}  {shown}  {found.reason}\n")


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not files:
        raise ConfigError(str(folder), "no messages", "the folder needs spam/ and ham/ with a message a file")
    return files


def _messages(files: list[Path], kind: str, as_json: bool) -> Iterator[bytes]:  # noqa: FBT001
    for path in track(files, f"reading {kind}", disable=as_json, transient=True):
        yield _read(path)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MESSAGE_OCTETS:
            raise ConfigError(str(path), f"larger than {MAX_MESSAGE_OCTETS} octets", "is it a message?")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            str(path), error.strerror or str(error), "see that it is there and readable"
        ) from error
