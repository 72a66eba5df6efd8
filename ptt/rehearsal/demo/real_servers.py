"""The real programs among the demonstration's remote servers: a Postfix, with judges, and an Exim.

They need their Debian packages and user ids of their own (root, or subordinate ids of uidmap's newuidmap).
Where one cannot run, ``why_not`` says so, and a model of it stands in.
"""

import email
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ptt.errors import ConfigError
from ptt.host.user_ids import can_have_own
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.demo.places import CAREFUL, GREYLISTED_S, OUR_ADDRESS, REMOTE, Kind, Place
from ptt.rehearsal.internet.remote_server import Accepted
from ptt.rehearsal.peers.exim import Exim, find_exim
from ptt.rehearsal.peers.greylist import Greylist
from ptt.rehearsal.peers.opendkim import OpenDkim
from ptt.rehearsal.peers.opendmarc import OpenDmarc, has_opendmarc
from ptt.rehearsal.peers.postfix import MAIL_USER_ID, Postfix

PROGRAM_PATH = "/usr/sbin:/usr/bin"
_VERDICT = re.compile(r"\b(spf|dkim|dmarc)=(\w+)")


def why_not(kind: Kind) -> str | None:
    """Why the real program of this kind cannot run here; None: it can."""
    match kind:
        case Kind.POSTFIX:
            is_there = shutil.which("postfix", path=PROGRAM_PATH) is not None
        case Kind.EXIM:
            is_there = find_exim() is not None
        case _:
            return "its owner alone has it"
    if not is_there:
        return "not installed"
    return None if can_have_own(MAIL_USER_ID, 1) else "no user ids for it"


def can_judge() -> bool:
    """Whether OpenDKIM and OpenDMARC are there."""
    return shutil.which("opendkim", path=PROGRAM_PATH) is not None and has_opendmarc()


@dataclass(slots=True)
class RealServers:
    """Those that can run. ``keys``: the DKIM records that OpenDKIM is told."""

    folder: Path
    authority: Authority
    keys: Mapping[str, str]
    has_judges: bool = False
    postfix: Postfix | None = None
    exim: Exim | None = None
    _parts: list[OpenDkim | OpenDmarc | Greylist] = field(default_factory=list)
    _postfix_turn: threading.Lock = field(default_factory=threading.Lock)
    _exim_turn: threading.Lock = field(default_factory=threading.Lock)
    _ended: bool = False

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains whose server is real."""
        real = ((CAREFUL, self.postfix), (REMOTE, self.exim))
        return tuple(place.domain for place, server in real if server is not None)

    def start_postfix(self) -> None:
        """Start it where it can run, with what belongs to it."""
        with self._postfix_turn:
            if why_not(CAREFUL.kind) is None and not self._ended:
                self._start_postfix()

    def start_exim(self) -> None:
        """Start it where it can run."""
        with self._exim_turn:
            if why_not(REMOTE.kind) is None and not self._ended:
                self._start_exim()

    def _start_postfix(self) -> None:
        greylist = Greylist(GREYLISTED_S)
        self._begin(greylist)
        settings = {
            "smtpd_recipient_restrictions": f"reject_unlisted_recipient, {greylist.restriction}",
            "smtpd_banner": "$myhostname ESMTP",
            "postscreen_greet_wait": "1s",
        }
        if can_judge():
            dkim = OpenDkim(self.folder / "opendkim", CAREFUL.host_name, self.keys)
            dmarc = OpenDmarc(self.folder / "opendmarc", CAREFUL.host_name)
            self._begin(dkim)
            self._begin(dmarc)
            settings["smtpd_milters"] = f"{dkim.milter}, {dmarc.milter}"
            self.has_judges = True
        self.postfix = Postfix(
            self.folder / "postfix",
            CAREFUL.host_name,
            CAREFUL.address,
            [CAREFUL.domain],
            CAREFUL.users,
            settings=settings,
            certificate=self._certificate(CAREFUL),
            has_postscreen=True,
        )
        self.postfix.start()

    def _start_exim(self) -> None:
        self.exim = Exim(
            self.folder / "exim",
            REMOTE.host_name,
            REMOTE.address,
            [REMOTE.domain],
            REMOTE.users,
            OUR_ADDRESS,
            certificate=self.authority.issue(REMOTE.host_name),
            has_callouts=True,
        )
        self.exim.start()

    def stop(self) -> None:
        """End all of them; what is just starting is waited for."""
        self._ended = True
        with self._postfix_turn, self._exim_turn:
            for server in (self.postfix, self.exim, *self._parts):
                if server is not None:
                    server.stop()

    def accepted(self, place: Place) -> list[Accepted]:
        """What a place has in its mailboxes, the oldest first."""
        server = self.postfix if place is CAREFUL else self.exim
        if server is None:
            raise ConfigError("rehearsal", f"{place.domain} has no real server", "this is a bug")
        found = [(user, message) for user in place.users for message in server.messages(user)]
        return [_accepted(place, user, message) for user, message in found]

    def _begin(self, part: OpenDkim | OpenDmarc | Greylist) -> None:
        part.start()
        self._parts.append(part)

    def _certificate(self, place: Place) -> Path:
        return self.authority.issue(place.host_name).write(self.folder / f"{place.domain}.pem")


def _accepted(place: Place, user: str, message: bytes) -> Accepted:
    read = email.message_from_bytes(message)
    stamps = [str(stamp) for stamp in read.get_all("Authentication-Results") or []]
    verdicts = [pair for stamp in stamps if place.host_name in stamp for pair in _VERDICT.findall(stamp)]
    results = " ".join(f"{method}={result}" for method, result in sorted(verdicts, key=_order))
    return Accepted(
        user, _reverse_path(read.get("Return-Path")), message.replace(b"\n", b"\r\n"), results, 0.0
    )


def _order(verdict: tuple[str, str]) -> int:
    return ("spf", "dkim", "dmarc").index(verdict[0])


def _reverse_path(field_value: str | None) -> Mailbox | None:
    path = (field_value or "").strip("<> \t")
    return mailbox(path) if path else None
