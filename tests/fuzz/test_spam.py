"""No message breaks the spam filter, none is changed but for the label, and a model's file reads back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.records.spam_features import MAX_TOKENS, Features, read_features
from ptt.records.spam_model import Decision, Model, parse_model, score, score_features, train_features
from ptt.units.spam_filter.labelling import label_message, without_labels

PIECES = st.sampled_from(
    [
        *(b"Content-Type: ", b"text/html", b"text/plain", b"; charset=", b"utf-7", b"utf-16", b"gb2312"),
        *(b"multipart/mixed; boundary=b", b"message/rfc822", b"\r\n--b\r\n", b"\r\n--b--", b"name=a.exe"),
        *(b"\r\n", b"\r\n\r\n", b"\n", b"\n ", b"Subject: ", b"From: ", b"=?utf-8?b?QQ?=", b"a@b.example"),
        *(
            b"X-Spamtacus: no",
            b"x-spamtacus-score\t: 0",
            b"X-Spam-Status: No",
            b"Reply-To: ",
            b"<a>",
            b"<!--",
        ),
        *(
            b"http://",
            b"<style>",
            b"&amp;",
            b"Content-Transfer-Encoding: base64",
            b"zzzz@",
            b"+2AA-",
            b"\xff",
        ),
    ]
)
MESSAGES = st.binary(max_size=200) | st.lists(PIECES | st.binary(max_size=5), max_size=40).map(b"".join)
MODEL = Model(1, 1, {"no:to": 9_000, "to:0": 2_000, "type:text/plain": 5_600})
TOKENS = st.text(max_size=8) | st.text(st.characters(exclude_categories=()), max_size=3)
SHOWN = st.builds(Features, st.frozensets(TOKENS, max_size=6), st.booleans())


@given(MESSAGES)
def test_every_message_gives_tokens_that_a_model_can_hold(message: bytes) -> None:
    found = read_features(message)
    if isinstance(found, Features):
        assert len(found.tokens) <= MAX_TOKENS
        model = train_features([found, found], [Features(frozenset(), is_dangerous=False)])
        assert parse_model(model.encode()) == model


@given(MESSAGES, MESSAGES)
def test_every_message_has_a_score(message: bytes, rest: bytes) -> None:
    result = score(MODEL, message, [rest])
    assert result.probability is None or 0 <= result.probability <= 1
    assert result.decision in Decision


@given(st.lists(SHOWN, max_size=8), st.lists(SHOWN, max_size=8))
def test_a_model_reads_back_and_judges_the_same(spam: list[Features], ham: list[Features]) -> None:
    model = train_features(spam, ham)
    again = parse_model(model.encode())
    assert again == model
    assert [score_features(again, each) for each in spam] == [score_features(model, each) for each in spam]


@given(st.binary() | st.binary().map(lambda rest: b"ptt-spam-model 1 2 3\n" + rest + b" 77\n"))
def test_no_file_is_anything_but_a_model_or_none(data: bytes) -> None:
    model = parse_model(data)
    assert isinstance(model, Malformed) or parse_model(model.encode()) == model


@given(MESSAGES, st.lists(st.integers(0, 300), max_size=5), st.booleans())
def test_pieces_do_not_matter_and_only_labels_go(message: bytes, cuts: list[int], status: bool) -> None:
    places = sorted({0, *cuts, len(message)})
    buffers = [message[a:b] for a, b in pairwise(places)] or [message]
    whole = b"".join(without_labels([message], x_spam_status=status))

    assert b"".join(without_labels(buffers, x_spam_status=status)) == whole
    assert b"".join(without_labels([whole], x_spam_status=status)) == whole
    lowered = message.lower()
    if b"x-spam" not in lowered:
        assert whole == message
    labelled = label_message(buffers, MODEL, x_spam_status=status)
    assert b"".join(labelled.message).endswith(whole)
    at_once = label_message([message], MODEL, x_spam_status=status)
    assert b"".join(labelled.message) == b"".join(at_once.message)
