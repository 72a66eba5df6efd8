"""One message on its way to one destination: MAIL and RCPT early, later the data, then the verdict.

``words`` holds the last word about each recipient; nothing else is reported, so nothing can be overlooked.
Before the end of the data a lost connection costs nothing: the next server is asked at RCPT, and a server
that leaves before its data is opened anew. After the end of the data there is no second try anywhere: a
lost connection is ``Broke`` at ``Stage.END``, the outcome unknown.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ptt.errors import MisuseError
from ptt.net.outbound import Line, MailServer, Outbound, Way, said_or_broke
from ptt.net.smtp_client import Lost, StillWaiting
from ptt.net.world import Endpoint
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import (
    Broke,
    Lacks,
    Said,
    Stage,
    Word,
    is_accepted,
    is_worth_a_second_connection,
    most_telling,
)
from ptt.protocol.smtp.commands import ClientCommand, Data, Mail, Recipient, Reset
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import RemoteReply

DATA_TIMEOUT_S = 30.0  # RFC 5321 §4.5.3.2.4 says 2 minutes; the peer in front of us does not wait so long
RESET_TIMEOUT_S = 5.0
MAX_DEPARTURES = 2  # of one server at the data; then the next one gets the message (RFC 5321 §5.1)
NO_EXTENSIONS = Extensions("", {})

MailFor = Callable[[Extensions, tuple[Mailbox, ...]], Mail | Keyword]
"""The MAIL command for what a server offers, or what the mail needs and it lacks."""


class RemoteTransaction:
    """See the module. Every call has a deadline in the loop's time. End it by ``release`` or ``abort``."""

    def __init__(self, outbound: Outbound, way: Way) -> None:
        self.words: dict[Mailbox, Word] = {}
        self.is_waiting = False
        """The end of the data was given, the verdict has not come."""
        self._outbound = outbound
        self._world = outbound.world
        self._way = way
        self._mail_for: MailFor
        self._mail: Mail | None = None
        self._line: Line | None = None
        self._has_right = False
        self._in_data = False
        self._has_written = False
        self._was_turned_away = False
        self._departures: Counter[str] = Counter()

    @property
    def accepted(self) -> tuple[Mailbox, ...]:
        """The recipients that the server takes, as far as is known."""
        return tuple(mailbox for mailbox, word in self.words.items() if is_accepted(word))

    async def request(self, recipients: Sequence[Mailbox], mail_for: MailFor, deadline: float) -> None:
        """Make it a transaction for these recipients under this envelope, before the data.

        What is open already stays open if it fits: then only new recipients are asked for.
        """
        wanted = tuple(dict.fromkeys(recipients))
        former, self._mail_for = self.accepted, mail_for
        self.words = {mailbox: word for mailbox, word in self.words.items() if mailbox in wanted}
        if not wanted:
            await self.release()
            return
        if self._line is None:
            await self._begin(wanted, deadline)
            return
        mail = self._mail_command(self._line, wanted)
        if isinstance(mail, Mail) and _is_same_but_for_size(mail, self._mail) and set(former) <= set(wanted):
            await self._add(self._line, [each for each in wanted if each not in self.words], deadline)
        elif isinstance(mail, Mail):
            await self._restart(self._line, wanted, deadline)
        else:
            self._say(wanted, Lacks(self._line.host, mail))
            await self.release()

    async def transfer(self, buffers: Sequence[bytes], deadline: float) -> None:
        """Write a piece of the message, after DATA when it is the first; waits while the server is behind.

        The first piece is written again if the server left before or while it came: there once more, then to
        the next server.
        """
        is_first = not self._has_written
        trouble = await self._write(buffers, deadline)
        while is_first and isinstance(trouble, Broke) and self._may_begin_anew(deadline):
            self._drop_line()
            await self._begin(self.accepted, deadline)
            trouble = await self._write(buffers, deadline)
        self._has_written = True
        if trouble is not None:
            self._say(self.accepted, trouble)
            self._drop_line()

    async def finish(self, buffers: Sequence[bytes], deadline: float) -> None:
        """Write the last piece and the end of the data; wait for the verdict.

        ``is_waiting``: it has not come.
        """
        if self._line is None or not self.accepted:
            return
        if not self._in_data:
            raise MisuseError("the end of data that were never begun")
        self.is_waiting = True
        timeout_s = max(deadline - self._world.now(), 0.0)
        written = await self._line.connection.write_body(buffers, last=True, timeout_s=timeout_s)
        match written:
            case None:
                await self.learn(deadline)
            case Lost():
                self._conclude(Broke(self._line.host, Stage.END, written.reason))
            case RemoteReply():
                self._line.connection.abort()  # what follows on it would be half a message
                self._conclude(Said(self._line.host, Stage.MESSAGE, written))

    async def learn(self, deadline: float) -> None:
        """Wait for the verdict (longer)."""
        if self._line is None or not self.is_waiting:
            return
        timeout_s = max(deadline - self._world.now(), 0.0)
        verdict = await self._line.connection.verdict(timeout_s)
        match verdict:
            case StillWaiting():
                return
            case Lost():
                self._conclude(Broke(self._line.host, Stage.END, verdict.reason))
            case (reply, *_):
                self._conclude(Said(self._line.host, Stage.END, reply))
            case _:
                self._conclude(Broke(self._line.host, Stage.END, "an empty verdict"))

    async def release(self) -> None:
        """Give the connection back for the next message; what is open on it is reset."""
        line, self._line = self._line, None
        if line is not None and self._mail is not None:
            await self._reset(line)
        self._mail, self._in_data = None, False
        self._give_back(line)

    async def _reset(self, line: Line) -> None:
        if self._in_data or isinstance(await self._ask(line, Reset()), Lost):
            line.connection.abort()

    def abort(self) -> None:
        """Drop the connection at once: no end of the data, no second try."""
        self._drop_line()
        self._give_back(None)

    # Before the data

    def _may_begin_anew(self, deadline: float) -> bool:
        """A server has left at the data: whether there is one to begin with again."""
        if self._line is not None:
            self._departures[self._line.host] += 1
        return bool(self._servers) and self._world.now() < deadline

    @property
    def _servers(self) -> tuple[MailServer, ...]:
        """Those that are of use: leaving once is what happens to idle connections, twice is a fault."""
        return tuple(each for each in self._way.servers if self._departures[each.name] < MAX_DEPARTURES)

    async def _begin(self, recipients: tuple[Mailbox, ...], deadline: float) -> None:
        """Ask the servers in their order until one has a word for the recipients."""
        if not self._has_right:
            left_s = deadline - self._world.now()
            self._has_right = await self._outbound.acquire(self._way, left_s)
        if not self._has_right:
            self._say(recipients, Broke("", Stage.CONNECTION, "too many connections to this destination"))
            return
        idle = self._outbound.idle_line(self._way)
        if idle is not None and await self._open(idle, recipients, deadline) is None:
            return
        words: list[Word] = []
        servers = self._servers
        for number, server in enumerate(servers, 1):
            is_last = number == len(servers)
            if await self._try_server(server, recipients, words, deadline, is_last=is_last):
                return
            if self._world.now() >= deadline:
                break
        self._say(recipients, most_telling(words or [Broke("", Stage.CONNECTION, "there is no server")]))

    async def _try_server(
        self,
        server: MailServer,
        recipients: tuple[Mailbox, ...],
        words: list[Word],
        deadline: float,
        *,
        is_last: bool,
    ) -> bool:
        """Try the addresses of one server; True when it has had its say."""
        endpoints = list(server.endpoints)
        same: list[Endpoint] = []  # a second connection goes where the first one went
        tried_again = False
        while endpoints and (left_s := deadline - self._world.now()) > 0:
            endpoint, line = await self._outbound.open_line(
                self._way, server, same or endpoints, left_s, is_last=is_last and len(endpoints) == 1
            )
            if isinstance(line, Line):
                word = await self._open(line, recipients, deadline)
                if word is None:
                    return True
            else:
                word = line
            if (
                endpoint is not None
                and not tried_again
                and isinstance(word, Said)
                and is_worth_a_second_connection(word.reply)
            ):
                tried_again, same = True, [endpoint]
                continue
            words.append(word)
            if endpoint is None:
                break
            same = []
            endpoints.remove(endpoint)
        if not words:
            words.append(Broke(server.name, Stage.CONNECTION, "no time was left, or it has no address"))
        return False

    async def _open(self, line: Line, recipients: tuple[Mailbox, ...], deadline: float) -> Word | None:
        """Say MAIL and RCPT on a line. None: the server's words stand; else why another one may do better."""
        mail = self._mail_command(line, recipients)
        if not isinstance(mail, Mail):
            self._line = line
            self._say(recipients, Lacks(line.host, mail))
            await self.release()
            return None
        self._line, self._mail = line, mail
        replies = await self._ask(line, mail, *(Recipient(each) for each in recipients), deadline=deadline)
        if isinstance(replies, Lost):
            self._drop_line()
            return said_or_broke(line.host, Stage.MAIL, replies)
        mail_reply, *verdicts = replies
        if not mail_reply.is_completed:
            word = Said(line.host, Stage.MAIL, mail_reply)
            self._mail = None  # nothing is open
            if mail_reply.is_permanent:
                self._say(recipients, word)
                return None
            self._drop_line()
            return word
        again = next((reply for reply in verdicts if is_worth_a_second_connection(reply)), None)
        if again is not None and not self._was_turned_away:
            self._was_turned_away = True
            self._drop_line()
            return Said(line.host, Stage.RECIPIENT, again)
        for mailbox, reply in zip(recipients, verdicts, strict=True):
            self.words[mailbox] = Said(line.host, Stage.RECIPIENT, reply)
        return None

    async def _add(self, line: Line, recipients: list[Mailbox], deadline: float) -> None:
        if not recipients:
            return
        replies = await self._ask(line, *(Recipient(each) for each in recipients), deadline=deadline)
        if isinstance(replies, Lost):
            # It left between two groups of RCPT: all of it is asked for anew.
            wanted = (*self.accepted, *recipients)
            self._drop_line()
            await self._begin(wanted, deadline)
            return
        for mailbox, reply in zip(recipients, replies, strict=True):
            self.words[mailbox] = Said(line.host, Stage.RECIPIENT, reply)

    async def _restart(self, line: Line, recipients: tuple[Mailbox, ...], deadline: float) -> None:
        """The same server, another envelope or fewer recipients."""
        if isinstance(await self._ask(line, Reset(), deadline=deadline), Lost):
            self._drop_line()
            await self._begin(recipients, deadline)
        elif (word := await self._open(line, recipients, deadline)) is not None:
            if isinstance(word, Said):
                self._say(recipients, word)
            else:
                await self._begin(recipients, deadline)

    def _mail_command(self, line: Line, recipients: tuple[Mailbox, ...]) -> Mail | Keyword:
        return self._mail_for(line.connection.dialogue.extensions or NO_EXTENSIONS, recipients)

    # The data

    async def _write(self, buffers: Sequence[bytes], deadline: float) -> Word | None:
        """Write a piece, after DATA if that has not been said. None: done, or there is nobody to write to."""
        line = self._line
        if line is None or not self.accepted:
            return None
        if not self._in_data:
            timeout_s = min(DATA_TIMEOUT_S, deadline - self._world.now())
            replies = await line.connection.ask(Data(), timeout_s=max(timeout_s, 0.0))
            if isinstance(replies, Lost):
                return said_or_broke(line.host, Stage.DATA, replies)
            if not replies[0].is_intermediate:
                return Said(line.host, Stage.DATA, replies[0])
            self._in_data = True
        timeout_s = max(deadline - self._world.now(), 0.0)
        written = await line.connection.write_body(buffers, last=False, timeout_s=timeout_s)
        match written:
            case None:
                return None
            case Lost():
                return said_or_broke(line.host, Stage.MESSAGE, written)
            case RemoteReply():
                return Said(line.host, Stage.MESSAGE, written)

    # Within

    async def _ask(
        self, line: Line, *commands: ClientCommand, deadline: float | None = None
    ) -> tuple[RemoteReply, ...] | Lost:
        timeout_s = RESET_TIMEOUT_S if deadline is None else max(deadline - self._world.now(), 0.0)
        return await line.connection.ask(*commands, timeout_s=timeout_s)

    def _say(self, recipients: Sequence[Mailbox], word: Word) -> None:
        for mailbox in recipients:
            self.words[mailbox] = word

    def _conclude(self, word: Word) -> None:
        """The last word after the end of the data, for all that it was given for."""
        self.is_waiting = False
        self._say(self.accepted, word)
        line, self._line, self._mail, self._in_data = self._line, None, None, False
        self._give_back(line)

    def _drop_line(self) -> None:
        if self._line is not None:
            self._line.connection.abort()
        self._line, self._mail, self._in_data = None, None, False

    def _give_back(self, line: Line | None) -> None:
        if self._has_right:
            self._has_right = False
            self._outbound.release(self._way, line)


def _is_same_but_for_size(mail: Mail, former: Mail | None) -> bool:
    """Whether the former command still says the truth; a better known size is not worth a round trip."""
    return (
        former is not None
        and replace(mail, parameters=replace(mail.parameters, size=former.parameters.size)) == former
    )
