"""The pretend authority, judged by a client of others: Debian's dehydrated (bash, curl)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ptt.rehearsal.internet.acme_authority import Fault
from ptt.rehearsal.site import Ran, run

HOOK = """#!/bin/sh
case "$1" in
    deploy_challenge) change="add _acme-challenge.$2. 60 TXT $4" ;;
    clean_challenge) change="delete _acme-challenge.$2. TXT $4" ;;
    *) exit 0 ;;
esac
printf 'server 192.0.2.10\\nzone mirage.org\\nupdate %s\\nsend\\n' "$change" | nsupdate -y {key}
"""


class Dehydrated:
    def __init__(self, program: str, folder: Path, anchor: Path, key: str) -> None:
        self._program = program
        self.folder = folder
        hook = folder / "hook"
        hook.write_text(HOOK.format(key=key))
        hook.chmod(0o755)
        (folder / "config").write_text(
            f"""CA="https://acme.example/directory"
CHALLENGETYPE="dns-01"
BASEDIR="{folder}"
HOOK="{hook}"
KEYSIZE="2048"
KEY_ALGO=prime256v1
CURL_OPTS="--cacert {anchor}"
CONTACT_EMAIL="somebody@mirage.org"
"""
        )

    def run(self, *arguments: str) -> Ran:
        return run(self._program, "--config", str(self.folder / "config"), *arguments)


def test_dehydrated_gets_a_certificate(
    stage: Any, require_program: Callable[[str], str], tmp_path: Path
) -> None:
    key = "hmac-sha256:mail._update.mirage.org:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    client = Dehydrated(require_program("dehydrated"), tmp_path, stage.anchor, key)
    registered = client.run("--register", "--accept-terms")
    assert registered.code == 0, registered.output
    names = ("--domain", "foreign.mirage.org", "--domain", "www.foreign.mirage.org")
    done = client.run("--cron", *names)
    assert done.code == 0, f"{done.output}\n{stage.authority.requests[-30:]}"
    chain = tmp_path / "certs" / "foreign.mirage.org"
    verified = run(
        "openssl", "verify", "-verify_hostname", "www.foreign.mirage.org", "-CAfile", str(stage.anchor),
        "-untrusted", str(chain / "chain.pem"), str(chain / "cert.pem"),
    )  # fmt: skip
    assert verified.code == 0, verified.output
    assert "ANSWER: 0" in stage.dig("_acme-challenge.foreign.mirage.org", "TXT")

    stage.authority.plan(Fault("invalid", "/challenge"))
    refused = client.run("--cron", "--domain", "refused.mirage.org")
    assert refused.code != 0
    assert "unauthorized" in refused.output
