"""Keys: each kind is made, taken over in each form, shown without its secret; the published vectors hold."""

import base64
import subprocess
from pathlib import Path

import dns.rdata
import dns.zone
import pytest

from ptt.deployer.key_making import FORMS, made_text, other_ssh_line, shown, taken_over, weak_seed
from ptt.errors import ConfigError
from ptt.records.secrets_file import SecretKind, check_secret

NAMES = {SecretKind.DKIM: "s1", SecretKind.TSIG: "k._update.example.org"}
ED25519_SEED_TEXT = "lShNY3l2He27hG3BBPPeyUdmP+hmZ4AppWmrytrm"  # V1's, V9 (a) of specs/seed-keys.md
ED25519_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtMBjmm2/ei/FZLrVUs95OVxK4DmCNGo7+HwPrpGumK"
DKIM_SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
RSA_2048_SEED = "M0XGwihC6RtGCzYptLcHuO+SV38TqBUbCMiCf898"  # V2
RSA_2048_START = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCmid+AGVt0mrVggEFkLAVS6rgWhhov+dw54Onm3L49BHYYPU4bz1Z4"
)


@pytest.mark.parametrize(
    ("kind", "form"), [(kind, form) for kind, forms in FORMS.items() for form in forms if form != "rsa"]
)
def test_what_is_made_is_of_its_kind_and_shown_without_the_secret(kind: SecretKind, form: str) -> None:
    name = NAMES.get(kind, "all")
    text = made_text(kind, name, form, None)
    assert check_secret(kind, text) is None
    if (kind, form) == (SecretKind.SSH, "seed"):
        return  # seconds: the vectors are in tests/vectors
    told = str(shown(kind, name, text, ["example.org"]))
    secret = text.rpartition(":")[2] if ":" in text else text.strip().split("\n")[-2 if "\n" in text else 0]
    assert secret not in told
    assert secret in str(shown(kind, name, text, shows_secret=True)).replace("\\n", "\n")


def test_the_usual_forms() -> None:
    assert made_text(SecretKind.SSH, "relay", "", None).startswith("ed25519:")
    assert shown(SecretKind.DKIM, "s1", made_text(SecretKind.DKIM, "s1", "", None)).form == "rsa 2048"
    assert made_text(SecretKind.SSH, "relay", "", None) != made_text(SecretKind.SSH, "relay", "", None)


def test_what_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="one of ed25519, rsa, seed"):
        made_text(SecretKind.SSH, "relay", "p256", None)
    with pytest.raises(ConfigError, match="2048 to 8192"):
        made_text(SecretKind.DKIM, "s1", "rsa", 1024)


def test_ssh_keys_of_the_original() -> None:
    text = taken_over(SecretKind.SSH, f"{ED25519_SEED_TEXT}\n", "ed25519", None)
    [(_, line)] = shown(SecretKind.SSH, "relay", text).lines
    assert line == f"{ED25519_LINE} relay"
    pem = taken_over(SecretKind.SSH, f"rsa:{RSA_2048_SEED}\n", "", 2048)
    [(_, line)] = shown(SecretKind.SSH, "relay", pem).lines
    assert line.startswith(RSA_2048_START)
    assert other_ssh_line(RSA_2048_SEED, "relay") == line
    assert taken_over(SecretKind.SSH, text, "", None) == text
    assert taken_over(SecretKind.SSH, pem, "", None) == pem


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    text = made_text(SecretKind.SSH, "relay", "ed25519", None)
    told = shown(SecretKind.SSH, "relay", text)
    (tmp_path / "key.pub").write_text(told.lines[0][1] + "\n", encoding="ascii")
    try:
        done = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")], capture_output=True, check=True, timeout=30
        )
    except FileNotFoundError:
        pytest.skip("the program ssh-keygen is not there")
    assert done.stdout.decode().split()[1] == told.fingerprint


def test_a_dkim_key_is_a_line_for_each_zone() -> None:
    text = taken_over(SecretKind.DKIM, DKIM_SEED, "", None)
    told = shown(SecretKind.DKIM, "s1", text, ["example.org", "example.net"])
    assert [purpose for purpose, _ in told.lines] == [
        "for the zone of example.org",
        "for the zone of example.net",
    ]
    head = "@ IN SOA ns. h. 1 1 1 1 1\n@ IN NS ns.example.org.\n"
    zone = dns.zone.from_text(head + told.lines[0][1], "example.org.", relativize=False)
    [record] = zone.find_rdataset("s1._domainkey.example.org.", "TXT")
    assert b"".join(record.strings).startswith(b"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOC")  # V5
    own = shown(SecretKind.DKIM, "s1._domainkey.example.net", text, ["example.org"])
    assert [line.split()[0] for _, line in own.lines] == ["s1._domainkey.example.net."]
    assert shown(SecretKind.DKIM, "s1", text).lines[0][1].startswith("s1._domainkey 3600 IN TXT ")


def test_a_tsig_key_is_a_line_of_a_keys_file() -> None:
    secret = base64.b64encode(bytes(32)).decode()
    text = taken_over(SecretKind.TSIG, f"k._update.example.org:SHA512:{secret}\n", "", None)
    told = shown(SecretKind.TSIG, "k._update.example.org", text, shows_secret=True)
    line = told.lines[0][1]
    assert line == f"k._update.example.org. IN DNSKEY 0 3 165 {secret}"
    rdata = dns.rdata.from_text("IN", "DNSKEY", line.partition("DNSKEY ")[2])
    assert rdata.to_wire() == bytes([0, 0, 3, 165]) + bytes(32)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SecretKind.SSH, "dsa:x"),
        (SecretKind.DKIM, "hunter2"),
        (SecretKind.TSIG, "x"),
        (SecretKind.DNSSEC, "eA=="),
    ],
)
def test_what_is_no_key_is_told_without_showing_it(kind: SecretKind, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        taken_over(kind, text, "", None)
    assert "hunter2" not in str(raised.value)


def test_a_broken_text_is_told_when_it_is_shown() -> None:
    with pytest.raises(ConfigError):
        shown(SecretKind.TSIG, "x", "x")
    with pytest.raises(ConfigError):
        shown(SecretKind.DKIM, "s1", "x")


def test_short_seeds() -> None:
    assert weak_seed(SecretKind.SSH, "rsa:short\n")
    assert not weak_seed(SecretKind.SSH, f"rsa:{RSA_2048_SEED}")
    assert not weak_seed(SecretKind.TSIG, "x")
