"""The rules of the code that no linter knows: packages, names, sizes, what may stand in a commit."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "ptt").rglob("*.py"))
PYTHON = sorted(
    path for folder in ("ptt", "tests", "bench", "docs") for path in (ROOT / folder).rglob("*.py")
)

FORBIDDEN_NAMES = {"util", "utils", "common", "helper", "helpers", "misc", "base", "core", "manager"}
MOST_LINES = 500
REASON_FOR_LENGTH = re.compile(r"^# Long because: \S.{10,}", re.MULTILINE)

# Addresses that may stand in the project: standards, and names that belong to nobody (RFC 2606, RFC 6761).
KNOWN_HOSTS = re.compile(
    r"(www\.rfc-editor\.org|datatracker\.ietf\.org|www\.iana\.org|www\.internic\.net|www\.w3\.org|semver\.org|keepachangelog\.com"
    r"|acme(-staging)?-v02\.api\.letsencrypt\.org"  # the authority that the product is for
    r"|[^.]+|127\.0\.0\.1|(.+\.)?example(\.(com|net|org))?|.+\.(test|invalid|localhost))"
)
ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]+)")
# Folders of the machine that something was made on, spelt so that this line is not one of them.
MACHINE_PATHS = re.compile(r"/(?:work/(?:main|shared)\b|root/\.|opt/\w|home/(?!alice|bob)\w)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked_text() -> dict[str, str]:
    """Every tracked file that is text; where Git is not there, the Python files."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = ""
    if shutil.which("git"):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    names = [name for name in listed.split("\0") if name] or [named(path) for path in PYTHON]
    texts = {}
    for name in names:
        path = ROOT / name
        if path.is_file():
            data = path.read_bytes()
            if b"\0" not in data[:8000]:
                texts[name] = data.decode("utf-8", "replace")
    return texts


@pytest.mark.parametrize("path", [p for p in CODE if p.name == "__init__.py"], ids=named)
def test_a_package_file_holds_its_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body

    assert len(body) == 1
    assert ast.get_docstring(ast.Module(body, [])) is not None


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in CODE}

    assert [named(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_names_say_what_a_module_decides() -> None:
    parts = {(named(path), part) for path in PYTHON for part in path.relative_to(ROOT).with_suffix("").parts}

    assert sorted(path for path, part in parts if part.lower() in FORBIDDEN_NAMES) == []


def test_a_long_file_gives_its_reason() -> None:
    too_long = {
        named(path): lines
        for path in PYTHON
        if (lines := len((text := path.read_text()).splitlines())) > MOST_LINES
        and not REASON_FOR_LENGTH.search(text)
    }

    assert too_long == {}, f"split them, or say `# Long because: …` (more than {MOST_LINES} lines)"


def test_tests_mirror_the_tree() -> None:
    """A folder of tests under the name of a layer has the folders of that layer."""
    layers = {path.name for path in (ROOT / "ptt").iterdir() if path.is_dir()}
    strange = [
        named(folder)
        for layer in layers
        for folder in (ROOT / "tests" / layer).rglob("*")
        if folder.is_dir() and any(folder.glob("test_*.py"))
        if not (ROOT / "ptt" / folder.relative_to(ROOT / "tests")).exists()
    ]

    assert strange == []


def test_no_address_of_a_stranger_and_no_path_of_a_machine_is_tracked() -> None:
    found = [
        f"{name}: {what}"
        for name, text in tracked_text().items()
        for what in [
            *(host for host in ADDRESS.findall(text) if not KNOWN_HOSTS.fullmatch(host)),
            *(place.group() for place in MACHINE_PATHS.finditer(text)),
        ]
    ]

    assert found == []
