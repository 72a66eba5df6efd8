"""The Received-SPF field."""

from ipaddress import ip_address

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict
from ptt.protocol.mailauth.spf.received_spf import received_spf


def query(local_part: str = "myname", helo: str = "foo.example.com") -> SpfQuery:
    return SpfQuery(ip_address("192.0.2.1"), local_part, Name.of("example.com"), helo, "mybox.example.org", 0)


def test_the_form() -> None:
    assert received_spf(query(), SpfVerdict(SpfResult.PASS, mechanism="mx")) == (
        b"Received-SPF: pass\r\n"
        b"\t(mybox.example.org: domain of myname@example.com designates 192.0.2.1 as permitted sender)\r\n"
        b'\tclient-ip=192.0.2.1; envelope-from="myname@example.com";\r\n'
        b"\thelo=foo.example.com; identity=mailfrom; receiver=mybox.example.org;\r\n"
        b'\tmechanism="mx";\r\n'
    )


@pytest.mark.parametrize("result", list(SpfResult))
def test_every_result(result: SpfResult) -> None:
    field = received_spf(query(), SpfVerdict(result, "it is so"), identity="helo")
    assert field.startswith(f"Received-SPF: {result.value}\r\n".encode())
    assert b"identity=helo" in field
    assert (b'problem="it is so"' in field) == (result in (SpfResult.TEMPERROR, SpfResult.PERMERROR))


def test_what_strangers_choose_stays_in_its_place() -> None:
    verdict = SpfVerdict(SpfResult.FAIL, mechanism='exists:%{l}.x" (a')
    field = received_spf(query('a"b) ;\\\r\nX: y', "evil; receiver=you (\r\n"), verdict)
    header = parse_header(field)
    assert isinstance(header, Header)
    assert len(header.fields) == 1
    assert rb'envelope-from="a\"b) ;\\??X: y@example.com";' in field
    assert b'helo="evil; receiver=you (??";' in field
    assert rb"(mybox.example.org: domain of a\"b\) ;\\??X: y@example.com does" not in field
    assert rb'(mybox.example.org: domain of a"b\) ;\\??X: y@example.com does' in field
