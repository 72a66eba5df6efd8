"""``ptt spam`` on a handful of messages."""

import json
import subprocess
import sys
from pathlib import Path

SPAM = b"Subject: cheap pills\r\n\r\nbuy cheap pills now, lottery winner, click here %d\r\n"
HAM = b"Subject: meeting\r\n\r\nthe meeting about the garden is on monday, regards %d\r\n"


def ptt(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ptt.cli.main", "spam", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_train_twice_and_score(tmp_path: Path) -> None:
    for number in range(30):
        for kind, text in (("spam", SPAM), ("ham", HAM)):
            path = tmp_path / "mail" / kind / "below" / f"{number}.eml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text % number)
    first, second = tmp_path / "first", tmp_path / "second"
    for model in (first, second):
        done = ptt("train", str(tmp_path / "mail"), str(model), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["spam"] == 30
    assert first.read_bytes() == second.read_bytes()
    for text, decision in ((SPAM, "yes"), (HAM, "no")):
        message = tmp_path / "message.eml"
        message.write_bytes(text % 99)
        done = ptt("score", str(first), str(message), "--json")
        assert json.loads(done.stdout)["decision"] == decision
    assert ptt("score", str(first), str(tmp_path / "message.eml")).stdout.startswith("no  0.")


def test_mistakes_name_the_file_and_the_mend(tmp_path: Path) -> None:
    done = ptt("train", str(tmp_path), str(tmp_path / "model"))
    assert done.returncode == 64
    assert "spam: no messages" in done.stderr
    (tmp_path / "model").write_bytes(b"rubbish")
    done = ptt("score", str(tmp_path / "model"), str(tmp_path / "model"))
    assert done.returncode == 64
    assert "ptt spam train" in done.stderr
    assert ptt("score", str(tmp_path / "none"), str(tmp_path / "none")).returncode == 64
