"""Nobody here composes a bounce [R9]: no image has code that could, since a refusal is told in the session.

Read from the images themselves, as they are built: every module of ours in each. Looked for are the words
that a report consists of (RFC 6522, 3464), packages that compose mail, and a ``MAIL FROM:<>`` of its own.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from ptt import topology
from ptt.deployer.images import OWN_SOURCE, image_files

WORDS = re.compile(
    rb"multipart/report|delivery-status|Reporting-MTA|Final-Recipient|MAILER-DAEMON|Undeliver",
    re.IGNORECASE,
)
COMPOSERS = {"email", "smtplib", "mailbox"}
BOUNCER = """
from email.mime.multipart import MIMEMultipart
import smtplib

def bounce(connection, recipient):
    connection.ask(Mail(None), Recipient(recipient))
    connection.ask(Mail(reverse_path=None))
    connection.write("Content-Type: multipart/report; report-type=delivery-status")
    connection.write(b"MAIL FROM:<>")
"""


def faults(source: bytes) -> Iterator[str]:
    """What in a module could be a part of a bounce."""
    yield from (found[0].decode() for found in WORDS.finditer(source))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name.partition(".")[0] in COMPOSERS)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in COMPOSERS:
                yield module
            case ast.Call(func=ast.Name("Mail"), args=[ast.Constant(None), *_]):
                yield "Mail(None)"
            case ast.Call(func=ast.Name("Mail"), keywords=keywords) if any(
                each.arg == "reverse_path" and isinstance(each.value, ast.Constant) for each in keywords
            ):
                yield "Mail(reverse_path=None)"
            case ast.Constant(bytes(text)) if b"MAIL FROM:<>" in text:
                yield "MAIL FROM:<>"
            case _:
                pass


@pytest.mark.parametrize("unit", [manifest.name for manifest in topology.ALL])
def test_no_image_holds_code_that_composes_a_bounce(unit: str) -> None:
    files = image_files(unit, f"ptt.units.{unit}.service", (OWN_SOURCE,))
    sources = {path: text for path, text in files.items() if path.startswith("ptt/") and path.endswith(".py")}

    assert f"ptt/units/{unit}/service.py" in sources
    assert {path: found for path, text in sources.items() if (found := list(faults(text)))} == {}


def test_a_bouncer_would_be_found() -> None:
    assert set(faults(BOUNCER.encode())) == {
        "email.mime.multipart",
        "smtplib",
        "Mail(None)",
        "Mail(reverse_path=None)",
        "multipart/report",
        "delivery-status",
        "MAIL FROM:<>",
    }
