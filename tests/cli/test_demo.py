"""``ptt demo`` as a person starts it: in namespaces of its own, as whoever runs the tests."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120
DOMAINS = ("gmail-like.com", "outlook-like.com", "yahoo-like.net", "careful.org", "remote.com")
PTT = [sys.executable, "-m", "ptt.cli.main"]


def test_every_check_holds() -> None:
    done = subprocess.run(
        [*PTT, "demo", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.startswith("ok ") for line in lines)
    assert len(set(lines)) == len(lines) > 40, "each fact has a name of its own"
    for domain in DOMAINS:
        assert any(domain in line for line in lines), f"nothing is said of {domain}"
    assert any(line.startswith("ok    DMARC passes at careful.org, says") for line in lines)


def test_while_it_runs_status_and_logs_answer(tmp_path: Path) -> None:
    told, path = tmp_path / "told", tmp_path / "socket" / "host.sock"
    environment = {**os.environ, "PTT_HOST_SOCKET": str(path)}
    with (
        told.open("w") as output,
        subprocess.Popen(
            [*PTT, "demo", "--json", "--stay"], cwd=ROOT, stdout=output, env=environment
        ) as demo,
    ):
        deadline = time.monotonic() + TIMEOUT_S
        while not told.read_text().endswith("}\n"):
            assert demo.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        try:
            status = json.loads(_ask(environment, "status", "--json"))
            logs = [json.loads(line) for line in _ask(environment, "logs", "relay", "--json").splitlines()]
            table = _ask(environment, "status")
        finally:
            subprocess.run(["pkill", "-INT", "-f", f"ptt.cli.main demo --inside {path}"], check=False)
            demo.wait(TIMEOUT_S)
    shown = json.loads(told.read_text())
    assert shown["holds"]
    assert tuple(shown["servers"]) == DOMAINS
    assert {unit["unit"] for unit in status} >= {"submission", "signer", "relay"}
    assert all(unit["memory_kb"] > 0 for unit in status if unit["state"] == "published") or os.geteuid() != 0
    assert {line["unit"] for line in logs} == {"relay"}
    assert "hello bob" not in "".join(line["text"] for line in logs)  # a subject: content is never written
    assert "submission" in table
    assert not path.exists()


def _ask(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [*PTT, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
