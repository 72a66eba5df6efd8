"""Which third-party code an image gets."""

import re
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest

from ptt.deployer import distributions
from ptt.deployer.closure import closure
from ptt.deployer.images import OWN_SOURCE
from ptt.errors import ConfigError


def names(found: list[Distribution]) -> list[str]:
    return [each.metadata["Name"] for each in found]


def test_what_is_required_comes_along() -> None:
    assert "cffi" in names(distributions.needed({"cryptography"}))
    assert "pycparser" in names(distributions.needed({"cryptography"}))
    assert names(distributions.needed({"dns"})) == ["dnspython"]
    assert distributions.needed(()) == []


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere: is imported"):
        distributions.needed({"nowhere"})


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("cffi", True),
        ("cffi>=2.0.0 ; platform_python_implementation != 'PyPy'", True),
        ("cffi (>=1.0); implementation_name == 'pypy'", False),
        ("trio[fast]>=0.34 ; extra == 'trio'", False),
        ("tomli; python_version < '3.11'", False),
        ("tomli; python_version < '3.9' or python_version >= '3.11'", True),
        ("tomli; python_version >= '3.9' and extra == 'toml'", False),
        ("x; python_full_version >= '3.2.10' and sys_platform == 'linux'", True),
        ("x; python_version > '99'", False),
        ("x; python_version <= '3.1'", False),
        ("x; (python_version >= '3.1')", True),
        ("x; platform_release == 'anything'", True),
        ("x; 'linux' in sys_platform", True),
    ],
)
def test_requirements_hold_by_their_markers(line: str, holds: bool) -> None:
    name = re.split(r"[ ;>(\[]", line, maxsplit=1)[0]
    assert distributions.required([line]) == ([name] if holds else [])


def test_a_line_that_is_no_requirement_is_left_out() -> None:
    assert distributions.required(["", "-r file", "@"]) == []


def test_tests_caches_and_scripts_stay_behind() -> None:
    paths = [path for path, _ in distributions.files(distribution("pytest"))]
    assert "pytest/__init__.py" in paths
    assert not [path for path in paths if ".." in path or "__pycache__" in path]
    assert not [path for path in paths if path.endswith(("/RECORD", "/INSTALLER"))]
    assert [path for path in paths if path.endswith("/METADATA")]
    tested = Path("cffi/tests/test_a.py"), Path("a.dist-info/METADATA")
    assert tested[0].parts[1] in distributions.LEFT_OUT_FOLDERS


def test_without_a_record_nothing_is_guessed(tmp_path: Path) -> None:
    folder = tmp_path / "bare-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bare\nVersion: 1\n")
    with pytest.raises(ConfigError, match="bare: has no RECORD"):
        list(distributions.files(PathDistribution(folder)))


def test_what_is_required_but_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lonely-1.dist-info"
    folder.mkdir()
    (tmp_path / "lonely.py").touch()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lonely\nVersion: 1\nRequires-Dist: nowhere\n"
    )
    (folder / "RECORD").write_bytes(distributions.record(["lonely.py", "lonely-1.dist-info/METADATA"]))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="nowhere: is required"):
        distributions.needed({"lonely"})


def test_what_no_unit_uses_of_a_library_is_left_out() -> None:
    found = {name.lower() for name in names(distributions.needed({"dulwich", "paramiko"}))}
    assert {"dulwich", "paramiko", "pynacl", "bcrypt"} <= found
    assert not found & {"invoke", "urllib3"}


@pytest.mark.parametrize(
    ("unit", "has_git"),
    [
        ("relay", True),
        ("submission", True),
        ("dns_primary", True),
        ("signer", False),
        ("receiver", False),
        ("spam_filter", False),
        ("dns_resolver", False),
        ("letsencrypt", False),
    ],
)
def test_only_units_with_a_repository_have_its_libraries(unit: str, has_git: bool) -> None:
    outside = closure([f"ptt.units.{unit}.service", "ptt.net.run"], [OWN_SOURCE]).outside
    assert {"dulwich", "paramiko"} & outside == ({"dulwich", "paramiko"} if has_git else set())
