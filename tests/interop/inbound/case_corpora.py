"""Real and broken mail through the whole chain: delivered with the author's octets, or refused for a reason.

None is lost. ``conformance/mime`` (what has no expectation of its own) and a part of ``conformance/spam``, as
a mail server sends them: lines end with CRLF. No name is looked up beyond the zone of the rehearsal.
"""

import io
import os
import re
import smtplib
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

Direct = Callable[..., smtplib.SMTP]
MakeScripted = Callable[..., ScriptedServer]

OWN = Path(__file__).resolve().parents[4] / "shared" / "conformance"
CONFORMANCE = Path(os.environ.get("PTT_CONFORMANCE", OWN))
MIME = ("cpython", "mikel-mail", "mimekit", "rspamd")
SPAM_STEP = 20  # every 20th of 4,049: some 200
CONNECTIONS = 4
ADDED = re.compile(
    rb"(?:Received|Received-SPF|Authentication-Results|X-Forwarded-To|X-Spamtacus)", re.IGNORECASE
)


def archive(path: Path, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """Every ``step``-th file of an archive."""
    with tarfile.open(path, "r:xz") as opened:
        members = sorted((member for member in opened if member.isfile()), key=lambda member: member.name)
        for member in members[::step]:
            yield member.name, (opened.extractfile(member) or io.BytesIO()).read()


def mime() -> dict[str, bytes]:
    """All messages of the folders and of the archive."""
    root = CONFORMANCE / "mime"
    found = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in MIME
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.suffix not in {".json", ".md", ".py"}
    }
    return found | dict(archive(root / "corpus.tar.xz"))


def spam() -> dict[str, bytes]:
    """Some of the corpus, without the line that mbox puts before."""
    found = dict(archive(CONFORMANCE / "spam" / "spamassassin.tar.xz", SPAM_STEP))
    return {
        name: data.partition(b"\n")[2] if data.startswith(b"From ") else data for name, data in found.items()
    }


def on_the_wire(data: bytes) -> bytes:
    """With the line ends of mail; a bare CR stays one."""
    text = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def pour(direct: Direct, user: str, messages: list[tuple[str, bytes]]) -> dict[str, tuple[int, str]]:
    """Send messages in one connection; the answer to each."""
    told = {}
    with direct() as client:
        for name, message in messages:
            client.docmd("MAIL", "FROM:<bob@remote.com> BODY=8BITMIME")
            client.rcpt(f"{user}@mirage.org")
            assert client.docmd("DATA")[0] == 354
            client.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
            code, text = client.getreply()
            told[name] = (code, text.decode())
            if code != 250:
                client.rset()
    return told


@pytest.mark.parametrize(("topic", "load"), [("mime", mime), ("spam", spam)])
def test_a_corpus(
    site: Site, direct: Direct, scripted: MakeScripted, topic: str, load: Callable[[], dict[str, bytes]]
) -> None:
    if not (CONFORMANCE / topic).is_dir():
        pytest.skip(f"no {CONFORMANCE / topic}")
    messages = [(name, on_the_wire(data)) for name, data in load().items()]
    servers = [scripted(number) for number in range(1, CONNECTIONS + 1)]
    shares = [messages[n::CONNECTIONS] for n in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(lambda n: pour(direct, f"s{n + 1}", shares[n]), range(CONNECTIONS)))

    wrong, refused, delivered = [], Counter[str](), 0
    for share, told, server in zip(shares, answers, servers, strict=True):
        arrived = iter(server.messages)
        for name, message in share:
            code, text = told[name]
            if code == 250:
                delivered += 1
                wrong += [] if is_whole(next(arrived).data, message) else [(name, "was changed")]
            else:
                refused[f"{code} {text.split(' ')[0]}"] += 1
                wrong += [] if may_refuse(code, text, message) else [(name, f"{code} {text}")]
        assert next(arrived, None) is None, "something came twice"
    print(f"{topic}: {len(messages)} messages, {delivered} delivered, refused: {dict(refused)}")
    assert wrong == []
    assert delivered > len(messages) * 0.8


def is_whole(arrived: bytes, message: bytes) -> bool:
    """Whether all that stands before the author's octets are fields of ours."""
    if not arrived.endswith(message):
        return False
    added = arrived[: len(arrived) - len(message)]
    names = re.findall(rb"^([^ \t\r\n:]+):", added, re.MULTILINE)
    return len(names) == 7 and all(ADDED.fullmatch(name) for name in names)


def may_refuse(code: int, text: str, message: bytes) -> bool:
    """Whether there is a reason that fits the message."""
    match f"{code} {text.partition(' ')[0]}":
        case "550 5.6.11":
            return re.search(rb"(?<!\r)\n|\r(?!\n)", message) is not None
        case "554 5.4.6":
            return len(re.findall(rb"(?im)^received[ \t]*:", message)) >= 100
        case "550 5.7.1":
            return re.search(rb"(?im)^from[ \t]*:.*(?:remote\.com|mirage|strict\.test)", message) is not None
    return False
