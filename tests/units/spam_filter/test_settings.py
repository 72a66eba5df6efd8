"""The boot record of the spam filter."""

from base64 import b64encode

import pytest

from ptt.errors import Malformed
from ptt.records.spam_model import Model
from ptt.units.spam_filter.settings import SpamFilterSettings, read_model, read_settings

MODEL = Model(3, 4, {"pills": 9_000})


def test_defaults() -> None:
    assert read_settings({}) == SpamFilterSettings()
    assert read_model(SpamFilterSettings()) is None


def test_a_model_is_read() -> None:
    settings = read_settings({"model": b64encode(MODEL.encode()).decode(), "x_spam_status": True})

    assert isinstance(settings, SpamFilterSettings)
    assert read_model(settings) == MODEL


@pytest.mark.parametrize("values", [{"model": 1}, {"modle": ""}, {"x_spam_status": "yes"}])
def test_a_mistake_is_told_by_name(values: dict[str, object]) -> None:
    found = read_settings(values)

    assert isinstance(found, Malformed)
    assert next(iter(values)) in found.reason


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("*", "model: not base64"),
        ("é", "model: not base64"),
        (b64encode(b"something").decode(), "model: not a model of this version"),
    ],
)
def test_a_broken_model_is_told(model: str, reason: str) -> None:
    assert read_model(SpamFilterSettings(model=model)) == Malformed(reason)
