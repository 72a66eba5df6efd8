"""What the checks write into Authentication-Results."""

from ipaddress import ip_address
from typing import Any

from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.arc.validation import ArcVerdict
from ptt.protocol.mailauth.authentication_results import MethodResult, authentication_results
from ptt.protocol.mailauth.dkim.signature import Signature, parse_signature
from ptt.protocol.mailauth.dkim.verifying import SignatureVerdict
from ptt.protocol.mailauth.dmarc.author import NoAuthor
from ptt.protocol.mailauth.dmarc.evaluation import DmarcVerdict
from ptt.protocol.mailauth.dmarc.record import Policy
from ptt.protocol.mailauth.method_results import arc_result, dkim_results, dmarc_result, spf_result
from ptt.protocol.mailauth.results import ArcResult, DkimResult, DmarcResult, SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict


def line(*results: MethodResult) -> str:
    return (
        authentication_results("us", results)
        .decode()
        .removeprefix("Authentication-Results: us; ")
        .replace("\r\n\t", " ")
        .strip()
    )


def test_spf() -> None:
    query = SpfQuery(ip_address("192.0.2.1"), "alice", Name.of("example.org"), "mx.example.org", "us", 0)
    assert line(spf_result(query, SpfVerdict(SpfResult.PASS))) == "spf=pass smtp.mailfrom=alice@example.org"
    helo = spf_result(query, SpfVerdict(SpfResult.TEMPERROR, "no answer"), identity="helo")
    assert line(helo) == 'spf=temperror reason="no answer" smtp.helo=example.org'


def test_dkim() -> None:
    signature = parse_signature(
        b"v=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=AAAA; b=ABCDEFGHIJKL; i=a=20b@example.org"
    )
    assert isinstance(signature, Signature)
    results = dkim_results(
        [
            SignatureVerdict(DkimResult.PASS, "", signature, is_testing=True),
            SignatureVerdict(DkimResult.PERMERROR, "v= is not 1"),
        ]
    )
    assert line(*results) == (
        'dkim=pass (the key is being tested) header.d=example.org header.i="a b@example.org" header.s=s1 '
        'header.a=rsa-sha256 header.b=ABCDEFGH; dkim=permerror reason="v= is not 1"'
    )
    assert line(*dkim_results([])) == "dkim=none"


def test_dmarc() -> None:
    verdict = DmarcVerdict(
        DmarcResult.FAIL, "no aligned domain passed", Name.of("example.org"), policy=Policy.REJECT
    )
    assert line(dmarc_result(verdict)) == (
        'dmarc=fail reason="no aligned domain passed" header.from=example.org policy.dmarc=reject'
    )
    none = DmarcVerdict(DmarcResult.NONE, "", Name.of("example.org"))
    assert line(dmarc_result(none)) == "dmarc=none header.from=example.org"
    no_author = NoAuthor(DmarcResult.PERMERROR, "2 From fields")
    assert line(dmarc_result(no_author)) == 'dmarc=permerror reason="2 From fields"'


def test_arc(sealed_chain: Any) -> None:
    assert line(arc_result(ArcVerdict(ArcResult.NONE))) == "arc=none"
    assert line(arc_result(sealed_chain)) == "arc=pass (i=1) header.d=example.org"
