"""Training, the model's file, and what a score says."""

import pytest

from ptt.errors import Malformed
from ptt.records import spam_model
from ptt.records.spam_features import Features
from ptt.records.spam_model import (
    MAX_MODEL_OCTETS,
    MAX_TELLING,
    Decision,
    Model,
    Score,
    parse_model,
    score,
    score_features,
    train,
    train_features,
)


def mail(text: str) -> bytes:
    return f"Subject: mail\r\n\r\n{text}\r\n".encode()


SPAM = [mail(f"cheap pills buy offer today winner number{n}") for n in range(10)]
HAM = [mail(f"meeting notes from project garden review number{n}") for n in range(10)]
MODEL = train(SPAM, HAM)


def shown(*tokens: str, is_dangerous: bool = False) -> Features:
    return Features(frozenset(tokens), is_dangerous)


def test_spam_and_ham_are_told_apart() -> None:
    assert score(MODEL, mail("buy cheap pills, winner")).decision is Decision.YES
    assert score(MODEL, mail("notes from the garden project")).decision is Decision.NO


def test_both_or_nothing_is_unknown() -> None:
    assert score(MODEL, mail("cheap notes pills project")).decision is Decision.UNKNOWN
    assert score(MODEL, mail("something else entirely")).probability == 0.5


def test_training_knows_no_order() -> None:
    assert train(reversed(SPAM), reversed(HAM)) == MODEL
    assert train(reversed(SPAM), reversed(HAM)).encode() == MODEL.encode()


def test_what_cannot_be_read_teaches_nothing() -> None:
    assert train([*SPAM, b"no message"], [b"", *HAM]) == MODEL


def test_tokens_seen_once_or_everywhere_are_not_kept() -> None:
    assert (MODEL.spam, MODEL.ham) == (10, 10)
    assert {"cheap", "garden"} <= MODEL.shares.keys()
    assert MODEL.shares.keys().isdisjoint({"number1", "subject:mail"})


def test_a_token_that_cannot_be_written_is_not_kept() -> None:
    model = train_features([shown("good", "\ud800")] * 3, [shown("other")] * 3)

    assert model.shares.keys() == {"good", "other"}


def test_the_tokens_seen_most_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spam_model, "MAX_MODEL_TOKENS", 2)
    model = train_features([shown("a", "c")] * 2 + [shown("c")], [shown("b")] * 2)

    assert model.shares.keys() == {"a", "c"}


@pytest.mark.parametrize(("spam", "ham"), [([], HAM), (SPAM, []), ([], [])])
def test_one_side_alone_teaches_nothing(spam: list[bytes], ham: list[bytes]) -> None:
    model = train(spam, ham)

    assert score(model, SPAM[0]) == Score(None, "the model knows nothing")
    assert parse_model(model.encode()) == model


def test_without_a_model_everything_is_unknown() -> None:
    assert score(None, SPAM[0]) == Score(None, "no model")
    assert Score(None).decision is Decision.UNKNOWN


def test_what_cannot_be_read_is_unknown() -> None:
    assert score(MODEL, b"no message").decision is Decision.UNKNOWN


def test_a_program_is_spam_whatever_the_words() -> None:
    message = HAM[0].replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; name=notes.exe\r\n\r\n")

    assert score(MODEL, message) == Score(1.0, "a program is attached")
    assert score(MODEL, HAM[0], [b"\r\nContent-Type: a/b; name=c.scr"]).decision is Decision.YES


@pytest.mark.parametrize(
    ("probability", "decision"),
    [
        (0.0, Decision.NO),
        (0.299, Decision.NO),
        (0.3, Decision.UNKNOWN),
        (0.899, Decision.UNKNOWN),
        (0.9, Decision.YES),
        (1.0, Decision.YES),
    ],
)
def test_thresholds(probability: float, decision: Decision) -> None:
    assert Score(probability).decision is decision


def test_only_the_most_telling_count() -> None:
    weak = {f"w{n}": 3_500 for n in range(300)}
    strong = {f"s{n}": 9_990 for n in range(MAX_TELLING)}
    model = Model(1, 1, weak | strong)

    assert score_features(model, shown(*weak)).decision is Decision.NO
    assert score_features(model, shown(*weak, *strong)).decision is Decision.YES


def test_extremes_stay_finite() -> None:
    tokens = [f"t{n}" for n in range(2 * MAX_TELLING)]

    for share, expected in ((1, 0.0), (9_999, 1.0)):
        result = score_features(Model(1, 1, dict.fromkeys(tokens, share)), shown(*tokens))
        assert result.probability == pytest.approx(expected, abs=1e-6)


def test_the_file_reads_back_the_same() -> None:
    data = MODEL.encode()

    assert data.startswith(b"ptt-spam-model 1 10 10\n")
    assert parse_model(data) == MODEL


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ptt-spam-model 2 1 1\n",
        b"ptt-spam-model 1 1 1\nx 5000",
        b"ptt-spam-model 1 1 1\nx\n",
        b"ptt-spam-model 1 1 1\nx 0\n",
        b"ptt-spam-model 1 1 1\nx 10000\n",
        b"ptt-spam-model 1 1 1\nx 1\nx 2\n",
        b"ptt-spam-model 1 1 1\nx y 2\n",
        b"ptt-spam-model 1 1 1\n\xff 2\n",
        b"ptt-spam-model 1 1 1\n" + b"x" * MAX_MODEL_OCTETS,
    ],
)
def test_what_is_no_model(data: bytes) -> None:
    assert isinstance(parse_model(data), Malformed)
