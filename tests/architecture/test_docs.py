"""The pages of docs/ that are derived from the code say what the code says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_the_tables_are_those_that_the_code_gives() -> None:
    found = subprocess.run(
        [sys.executable, DOCS / "tables.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (found.returncode, found.stdout) == (0, ""), f"run `make docs`\n{found.stdout}{found.stderr}"


def test_every_cited_rfc_has_its_title() -> None:
    assert "add its title" not in (DOCS / "rfcs.md").read_text()


def test_every_cited_rfc_is_listed_and_every_listed_one_is_cited() -> None:
    """The same by another way than the tool's: the table's own numbers against a search of the code."""
    table = (DOCS / "rfcs.md").read_text().partition("<!-- table: rfcs -->")[2].partition("<!-- end -->")[0]
    listed = set(re.findall(r"^\| (\d+) \|", table, re.MULTILINE))
    cited = {n for path in (ROOT / "ptt").rglob("*.py") for n in re.findall(r"\bRFC (\d+)", path.read_text())}

    assert listed == cited


def test_a_deviation_names_its_reason() -> None:
    table = (DOCS / "rfcs.md").read_text().partition("<!-- table: deviations -->")[2]
    rows = re.findall(r"^\| `(ptt/.+?)` \| (.*) \|$", table, re.MULTILINE)
    written = sum(path.read_text().count("Deviation:") for path in (ROOT / "ptt").rglob("*.py"))

    assert len(rows) == written
    assert [where for where, said in rows if len(said) < len("we do X since Y")] == []


def test_every_page_that_is_pointed_to_is_there() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert missing == []


def test_the_tests_that_parity_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.-]+\.py)::(\w+)`", (DOCS / "parity.md").read_text())
    missing = [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]

    assert named
    assert missing == []


def test_each_folder_of_tests_has_a_budget_and_together_they_stay_under_twelve_minutes_of_a_clock() -> None:
    budgets = tomllib.loads((ROOT / "tests" / "budget.toml").read_text())["seconds"]
    folders = {
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("test_*.py"))
    }

    assert folders - {"soak"} <= set(budgets)
    assert sum(budgets.values()) <= 2 * 12 * 60  # two at once
