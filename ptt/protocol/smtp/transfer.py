"""The message between its command and its verdict: DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030).

A message that was spoilt (``receiving``) or refused is taken to its true end and answered there, so that
nothing in it is ever run as a command. LMTP has a reply for each accepted recipient (RFC 2033 §4.2), PRDR
has them and one more.
"""

from ptt.errors import Malformed
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import DataFinished, DataReceived, DataRequested
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.grammar import Chunk, parse_chunk
from ptt.protocol.smtp.lines import Input
from ptt.protocol.smtp.order import State
from ptt.protocol.smtp.receiving import MAX_SWALLOWED_OCTETS, ChunkStream, DotStream, Fault, Intake
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server_session import (
    CLOSING_CODE,
    GO_AHEAD_CODE,
    Replies,
    ServerSession,
    is_go_ahead,
    is_verdict,
)

_ANSWER_TO = {
    Fault.BARE_LINE_END: wording.BARE_LINE_END_IN_MESSAGE,
    Fault.TOO_LARGE: wording.TOO_LARGE,
}


class Transfer:
    """One message at a time; while it ``is_active`` the input is no command but the message."""

    def __init__(self, session: ServerSession, incoming: Input) -> None:
        self._session = session
        self._input = incoming
        self._dots: DotStream | None = None
        self._chunk: Chunk | None = None
        self._octets_left = 0
        self._chunks = ChunkStream(0)
        self._refusal: Reply | None = None
        self._refusals = 0

    @property
    def is_active(self) -> bool:
        """Whether the input is read here."""
        return self._dots is not None or self._chunk is not None

    # Commands

    def data(self) -> None:
        """Run DATA."""
        self._session.ask(DataRequested(chunked=False), self._data_answered, is_go_ahead)

    def _data_answered(self, replies: Replies) -> None:
        (reply,) = replies
        if not self._input.is_empty:  # RFC 2920 §3.1: the client waits for 354
            self._session.close(wording.DATA_TOO_EARLY)
            return
        self._session.say_verdict(reply)
        if reply.code == GO_AHEAD_CODE:
            self._dots = DotStream(self._session.settings.size_limit)
            self._refusal = None

    def bdat(self, argument: bytes, refusal: Reply | None) -> None:
        """Run BDAT, or refuse it with ``refusal`` when its octets have come (RFC 3030 §4.1)."""
        session = self._session
        limit = session.settings.size_limit
        chunk = parse_chunk(argument)
        if isinstance(chunk, Malformed):
            session.close(wording.BAD_CHUNK)  # where its octets end is not known: nothing of them may be run
            return
        if chunk.octets > max(MAX_SWALLOWED_OCTETS, limit):
            session.close(wording.ENDLESS_MESSAGE)
            return
        self._chunk = chunk
        self._octets_left = chunk.octets
        if session.state is not State.SPOILT:
            self._refusal = None
        if refusal is not None:
            self._refusal, self._refusals = refusal, 1
        elif session.state is not State.RECIPIENTS:
            if self._refusal is None and self._chunks.size + chunk.octets > limit:
                self._spoil(wording.TOO_LARGE)
        elif chunk.octets > limit:
            self._spoil(wording.TOO_LARGE)
        else:
            session.ask(DataRequested(chunked=True), self._chunks_answered, is_go_ahead)

    def _chunks_answered(self, replies: Replies) -> None:
        (reply,) = replies
        if reply.code == GO_AHEAD_CODE:
            self._chunks = ChunkStream(self._session.settings.size_limit)
            self._session.state = State.CHUNKS
        else:
            self._spoil(reply)

    # Reading

    def advance(self) -> bool:
        """Take the next piece; False when there is none."""
        return self._advance_chunk() if self._dots is None else self._advance_data(self._dots)

    def _advance_data(self, dots: DotStream) -> bool:
        piece = self._input.take()
        if not piece:
            return False
        self._hand_out(dots.take(piece), dots.intake)
        if dots.finished:
            self._dots = None
            self._input.give_back(dots.rest)
            self._end_of_message(dots.size)
        elif dots.intake.is_endless:
            self._session.close(wording.ENDLESS_MESSAGE)
        return True

    def _advance_chunk(self) -> bool:
        if self._octets_left:
            piece = self._input.take(self._octets_left)
            if not piece:
                return False
            self._octets_left -= len(piece)
            if self._refusal is None:
                self._hand_out(self._chunks.take(piece), self._chunks.intake)
        if not self._octets_left and self._chunk is not None:
            self._end_of_chunk(self._chunk)
        return True

    def _end_of_chunk(self, chunk: Chunk) -> None:
        if chunk.last and self._refusal is None:
            self._hand_out(self._chunks.finish(), self._chunks.intake)
        self._chunk = None
        if chunk.last:
            self._end_of_message(self._chunks.size)
        elif self._refusal is None:
            self._session.say(wording.chunk_taken(chunk.octets))
        elif self._session.state is State.SPOILT:
            self._session.say_verdict(self._refusal)  # and to every further chunk
        else:
            self._say_refusals(self._refusal)

    def _hand_out(self, text: bytes, intake: Intake) -> None:
        if text:
            self._session.tell(DataReceived(text))
        if intake.fault is not None and self._refusal is None:
            self._spoil(_ANSWER_TO[intake.fault])

    def _spoil(self, reply: Reply) -> None:
        """Answer the message with this when its end comes."""
        self._refusal = reply
        self._refusals = self._replies_wanted()
        more_may_come = self._chunk is not None and not self._chunk.last
        self._session.abort_transaction(reply, State.SPOILT if more_may_come else State.READY)

    # Ends

    def _replies_wanted(self) -> int:
        """RFC 2033 §4.2: one, or one for each accepted recipient."""
        return len(self._session.recipients) if self._session.settings.flavour is Flavour.LMTP else 1

    def _end_of_message(self, size: int) -> None:
        session = self._session
        if self._refusal is not None:
            self._say_refusals(self._refusal)
            return
        wanted = self._replies_wanted()
        if session.parameters.prdr and len(session.recipients) > 1:
            session.say(wording.ANALYSIS_STARTED)
            wanted = len(session.recipients) + 1
        session.ask(DataFinished(size), self._judged, is_verdict, wanted)

    def _say_refusals(self, reply: Reply) -> None:
        self._refusal = None
        if self._session.state is State.SPOILT:
            self._session.state = State.READY
        for _ in range(self._refusals - 1):
            self._session.say(reply)
        self._session.say_verdict(reply)

    def _judged(self, replies: Replies) -> None:
        session = self._session
        session.end_transaction()
        if any(reply.is_completed for reply in replies):
            session.restore_patience(fully=True)
            session.final_reply_at = self._input.received
        for reply in replies:
            session.say(reply)
        closing = [reply for reply in replies if reply.code == CLOSING_CODE]
        if closing:
            session.leave(closing[0])
