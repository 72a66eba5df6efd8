"""``ptt init``: what is made, that nothing is made twice, and that what is made serves."""

import stat
import subprocess
from pathlib import Path

import pytest

from ptt import topology
from ptt.deployer.first_zone import for_provider, for_registrar
from ptt.deployer.founding import Founded, Wishes, found
from ptt.deployer.images import Image
from ptt.deployer.local_repository import check_repository, make_repository
from ptt.deployer.service import read_plan
from ptt.deployer.specs import unit_spec
from ptt.errors import ConfigError
from ptt.host.unit_spec import check_spec
from ptt.manifest import Secret
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

ADDRESSES = ("192.0.2.10", "2001:db8::10")


@pytest.fixture(scope="module")
def wishes(tmp_path_factory: pytest.TempPathFactory) -> Wishes:
    folder = tmp_path_factory.mktemp("founding") / "ptt"
    return Wishes(domain="example.org", addresses=ADDRESSES, folder=folder, postmaster="me@home.example")


@pytest.fixture(scope="module")
def founded(wishes: Wishes) -> Founded:
    return found(wishes)


def test_nothing_is_made_twice(wishes: Wishes, founded: Founded) -> None:
    files = {path: path.read_bytes() for path in wishes.folder.rglob("*") if path.is_file()}
    again = found(wishes)
    assert founded.kept == ()
    assert again.made == ()
    assert set(again.kept) == set(founded.made)
    assert {path: path.read_bytes() for path in files} == files


def test_what_is_missing_is_made(wishes: Wishes, founded: Founded, tmp_path: Path) -> None:
    folder = tmp_path / "ptt"
    folder.mkdir()
    (folder / "ptt.toml").write_text('domain = "example.org"\naddresses = "192.0.2.77"\n')
    made = found(Wishes(domain="example.org", addresses=ADDRESSES, folder=folder))
    assert made.kept == ("ptt.toml",)
    assert made.naming.addresses == ("192.0.2.77",)


def test_another_domain_is_not_mixed_in(wishes: Wishes, founded: Founded) -> None:
    with pytest.raises(ConfigError, match=r"is there already, for example\.org"):
        found(Wishes(domain="example.net", addresses=ADDRESSES, folder=wishes.folder))


def test_secrets_are_for_their_owner_alone(wishes: Wishes, founded: Founded) -> None:
    assert stat.S_IMODE((wishes.folder / "secrets.toml").stat().st_mode) == 0o600
    for name in ("relay.git", "passwords.git", "zone.git"):
        assert stat.S_IMODE((wishes.folder / name).stat().st_mode) == 0o700
    assert "PRIVATE" not in (wishes.folder / "ptt.toml").read_text()
    (wishes.folder / "secrets.toml").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_plan(founded.config)
    (wishes.folder / "secrets.toml").chmod(0o600)


def test_secrets_may_come_from_systemd(
    founded: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = founded.config.secrets_file
    credential = tmp_path / "secrets.toml"
    credential.write_bytes(here.read_bytes())
    credential.chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    here.rename(here.with_suffix(".away"))
    try:
        assert read_plan(founded.config).material.own_secrets["relay"][Secret.LEDGER_KEY]
    finally:
        here.with_suffix(".away").rename(here)


def test_the_zones_are_served_and_complete(founded: Founded, tmp_path: Path) -> None:
    repository = founded.config.path("zone.git")
    subprocess.run(["git", "clone", "-q", str(repository), str(tmp_path / "zone")], check=True)
    zones = {path.name: path.read_text() for path in (tmp_path / "zone").iterdir() if path.is_file()}
    assert set(zones) == {"example.org", "srs.example.org"}
    for origin, text in zones.items():
        assert isinstance(read_zone(text, Name.of(origin), origin), Zone)
    own, srs = zones["example.org"], zones["srs.example.org"]
    for record in (
        "example.org. MX 10 mail.example.org.",
        "mail.example.org. A 192.0.2.10",
        "mail.example.org. AAAA 2001:db8::10",
        'mail.example.org. TXT "v=spf1 a -all"',
        'example.org. TXT "v=spf1 mx -all"',
        '_dmarc.example.org. TXT "v=DMARC1; p=reject; aspf=s; adkim=s"',
        "srs.example.org. NS ns1.example.org.",
        'rsa1._domainkey.example.org. TXT "v=DKIM1; k=rsa; p=',
        'ed1._domainkey.example.org. TXT "v=DKIM1; k=ed25519; p=',
    ):
        assert record in own
    assert '_dmarc.srs.example.org. TXT "v=DMARC1; p=reject; psd=n"' in srs


def test_what_only_the_owner_can_enter(founded: Founded) -> None:
    assert for_registrar(founded.naming) == (
        "example.org. NS ns1.example.org.",
        "ns1.example.org. A 192.0.2.10",
        "ns1.example.org. AAAA 2001:db8::10",
    )
    assert for_provider(founded.naming)[0] == "10.2.0.192.in-addr.arpa. PTR mail.example.org."


def test_each_unit_is_told_what_its_manifest_names_and_no_more(founded: Founded, tmp_path: Path) -> None:
    plan = read_plan(founded.config)
    given = {}
    for manifest in topology.ALL:
        spec = unit_spec(manifest, Image(tmp_path, "0" * 64), plan.config, plan.material)
        check_spec(spec)
        given[manifest.name] = set(spec.secrets)
    assert given["signer"] == {Secret.DKIM_KEYS}
    assert given["relay"] == {Secret.SSH_KEY, Secret.SRS_KEYS, Secret.LEDGER_KEY}
    assert {Secret.CERTIFICATE_SEED, Secret.TSIG_KEY} <= given["receiver"] & given["submission"]
    assert Secret.DKIM_KEYS not in set().union(*(given[name] for name in given if name != "signer"))


def test_git_reads_what_was_made(tmp_path: Path) -> None:
    path, clone = tmp_path / "a.git", tmp_path / "a"
    make_repository(path, {"alice": b"{}", "bob": b"{}"}, "two")
    check_repository(path)
    subprocess.run(["git", "clone", "-q", str(path), str(clone)], check=True)
    assert {each.name for each in clone.iterdir()} == {".git", "alice", "bob"}
    with pytest.raises(ConfigError, match="is no Git repository"):
        check_repository(tmp_path / "none")


@pytest.mark.parametrize("there", ["a link", "not UTF-8"])
def test_nothing_is_written_through_a_link_and_nothing_over_a_file(there: str, tmp_path: Path) -> None:
    folder, target = tmp_path / "ptt", tmp_path / "target"
    folder.mkdir()
    if there == "a link":
        (folder / "ptt.toml").symlink_to(target)
    else:
        (folder / "ptt.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="No such file" if there == "a link" else "not UTF-8"):
        found(Wishes(domain="example.org", addresses=ADDRESSES, folder=folder))
    assert not target.exists()


def test_a_repository_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        make_repository(tmp_path / "a.git", {"alice": None}, "broken")  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b.git").write_text("mine")
    with pytest.raises(ConfigError, match="Not a directory"):
        make_repository(tmp_path / "b.git", {}, "in the way")
    assert [each.name for each in tmp_path.iterdir()] == ["b.git"]
    assert (tmp_path / "b.git").read_text() == "mine"
