"""The import contracts of pyproject.toml hold, and each of them catches a breach.

A breach is planted in a copy of the tree and import-linter must call exactly the contracts broken that the
breach breaks: a contract with a slip of the pen in it would be kept for ever.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
VERDICT = re.compile(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", re.MULTILINE)

LAYERS = "Layers: a folder imports from below only"
PROTOCOL_LAYERS = "Within protocol: smtp | mailauth | acme > mail > dns"
PURE = "Pure code has no socket, clock, randomness or system"
UNIT_IO = "In a unit only service.py and session.py touch the network"
DECISIONS = "A unit's decisions know nothing of its input and output"
INDEPENDENT = "Units know nothing of each other"
PROTECTED = "Only the topology imports units"
MANIFESTS_ONLY = "The topology reads manifests only"


def verdicts(tree: Path) -> Mapping[str, str]:
    """Run import-linter in the tree and give what it says of each contract."""
    found = subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"], cwd=tree, capture_output=True, text=True, check=False
    )
    said = dict(VERDICT.findall(found.stdout))
    assert said or found.returncode, found.stdout
    return said or {"could not run": found.stdout + found.stderr}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of the code, to plant a breach in."""
    shutil.copytree(ROOT / "ptt", tmp_path / "ptt", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(tree: Path, module: str, line: str) -> None:
    """Add a line at the end of a module, which is made where it is missing."""
    path = tree / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")


def test_the_code_keeps_every_contract() -> None:
    assert verdicts(ROOT) == dict.fromkeys(
        [LAYERS, PROTOCOL_LAYERS, PURE, UNIT_IO, DECISIONS, INDEPENDENT, PROTECTED, MANIFESTS_ONLY], "KEPT"
    )


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("ptt/records/planted.py", "import ptt.boot", {LAYERS}),
        ("ptt/host/planted.py", "import ptt.deployer", {LAYERS}),
        ("ptt/host/planted.py", "import ptt.units", {LAYERS, PROTECTED}),
        ("ptt/strange/__init__.py", '"""A folder that nobody declared."""', {LAYERS}),
        ("ptt/strange.py", '"""A module that nobody declared."""', {LAYERS}),
        ("ptt/protocol/dns/planted.py", "import ptt.protocol.mail", {PROTOCOL_LAYERS}),
        ("ptt/protocol/smtp/planted.py", "import ptt.protocol.mailauth", {PROTOCOL_LAYERS}),
        ("ptt/protocol/strange/__init__.py", '"""A folder that nobody declared."""', {PROTOCOL_LAYERS}),
        ("ptt/protocol/smtp/planted.py", "import asyncio", {PURE}),
        ("ptt/protocol/dns/planted.py", "import socket", {PURE}),
        ("ptt/protocol/mail/planted.py", "import ssl", {PURE}),
        ("ptt/protocol/mailauth/planted.py", "from time import monotonic", {PURE}),
        ("ptt/records/planted.py", "import random", {PURE}),
        ("ptt/records/planted.py", "def salt():\n    import secrets", {PURE}),
        ("ptt/boot.py", "import os.path", {PURE}),
        ("ptt/manifest.py", "import logging", {PURE}),
        ("ptt/units/relay/planted.py", "import asyncio", {UNIT_IO}),
        ("ptt/units/relay/planted.py", "import ptt.net", {UNIT_IO}),
        ("ptt/units/signer/__init__.py", "import ptt.net", {UNIT_IO}),
        ("ptt/units/submission/planted.py", "import ptt.units.submission.session", {DECISIONS}),
        ("ptt/units/relay/planted.py", "import ptt.units.signer.manifest", {INDEPENDENT}),
        ("ptt/deployer/planted.py", "import ptt.units.relay.manifest", {PROTECTED}),
        ("ptt/topology.py", "import ptt.net", {MANIFESTS_ONLY}),
        ("ptt/units/relay/manifest.py", "import ptt.protocol.smtp.reply", {MANIFESTS_ONLY}),
    ],
)
def test_a_breach_is_caught(tree: Path, module: str, line: str, broken: set[str]) -> None:
    plant(tree, module, line)

    assert {contract for contract, said in verdicts(tree).items() if said != "KEPT"} == broken


@pytest.mark.parametrize("line", ["import asyncio", "import ptt.net", "import ptt.net.planted"])
def test_a_service_may_do_input_and_output(tree: Path, line: str) -> None:
    plant(tree, "ptt/net/planted.py", "import asyncio")
    plant(tree, "ptt/units/relay/service.py", line)

    assert set(verdicts(tree).values()) == {"KEPT"}
