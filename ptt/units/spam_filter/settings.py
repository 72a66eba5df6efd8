"""What the spam filter is told in its boot record."""

import binascii
from base64 import b64decode
from collections.abc import Mapping

import msgspec

from ptt.errors import Malformed
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT
from ptt.records.spam_model import Model, parse_model

DEFAULT_MEMORY_OCTETS = 2 * DEFAULT_SIZE_LIMIT  # two of the largest messages at once, or 7,000 of 10 kB


class SpamFilterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model``: base64 of a model's file; empty: there is none, and every message is ``unknown``."""

    model: str = ""
    x_spam_status: bool = False
    """Write X-Spam-Status too, for mail programs that sort by it [F1]."""
    size_limit: int = DEFAULT_SIZE_LIMIT
    memory_octets: int = DEFAULT_MEMORY_OCTETS


def read_settings(values: Mapping[str, object]) -> SpamFilterSettings | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        return msgspec.convert(values, SpamFilterSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))


def read_model(settings: SpamFilterSettings) -> Model | Malformed | None:
    """Read the model, None where there is none."""
    if not settings.model:
        return None
    try:
        data = b64decode(settings.model, validate=True)
    except (binascii.Error, ValueError):
        return Malformed("model: not base64")
    model = parse_model(data)
    return Malformed(f"model: {model.reason}") if isinstance(model, Malformed) else model
