"""Which third-party distributions an image needs, and their files, from the environment that runs.

Whole distributions are taken, with all that they require (PEP 508 without extras), because what a
distribution imports of itself may depend on the machine. Left out are tests, caches and what lies outside the
folder of packages.
"""

import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from ptt.errors import ConfigError

# Required by libraries for parts of them that no unit uses: nothing imports these but under ``try``.
LEFT_OUT = frozenset({"invoke", "urllib3"})  # of paramiko (its ssh_config), of dulwich (its own HTTP)
LEFT_OUT_FOLDERS = frozenset({"tests", "test", "__pycache__"})
LEFT_OUT_RECORDS = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
)  # of how it was installed

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(?:;(.*))?")
_COMPARISON = re.compile(r"""\s*\(?\s*([a-z_]+)\s*(==|!=|<=|>=|<|>)\s*['"]([^'"]*)['"]\s*\)?\s*""")


def needed(top_level_names: Iterable[str]) -> list[Distribution]:
    """The distributions that provide these names, and transitively what they require; by name.

    ``ConfigError`` when one is not installed.
    """
    providers = packages_distributions()
    waiting: list[str] = []
    for name in top_level_names:
        if name not in providers:
            raise ConfigError(name, "is imported, but no installed distribution provides it", "Install it.")
        waiting += providers[name]
    found: dict[str, Distribution] = {}
    while waiting:
        name = waiting.pop()
        try:
            found_one = distribution(name)
        except PackageNotFoundError as error:
            raise ConfigError(name, "is required, but not installed", "Install it from the lock.") from error
        key = _normal(found_one.metadata["Name"])
        if key not in found and key not in LEFT_OUT:
            found[key] = found_one
            waiting += required(found_one.requires or ())
    return [found[name] for name in sorted(found)]


def required(requirements: Iterable[str]) -> list[str]:
    """The names out of ``Requires-Dist`` lines that hold here and belong to no extra."""
    matches = [_REQUIREMENT.fullmatch(line) for line in requirements]
    return [match[1] for match in matches if match is not None and _holds(match[2] or "")]


def files(found: Distribution) -> Iterator[tuple[str, Path]]:
    """A distribution's files: the path within an image and where the file is now."""
    if found.files is None:
        raise ConfigError(found.metadata["Name"], "has no RECORD of its files", "Install it by pip or uv.")
    for path in found.files:
        in_record_folder = path.parts[0].endswith(".dist-info") and path.name in LEFT_OUT_RECORDS
        if ".." in path.parts or LEFT_OUT_FOLDERS & set(path.parts) or in_record_folder:
            continue
        yield path.as_posix(), Path(str(found.locate_file(path)))


def record(paths: Iterable[str]) -> bytes:
    """A RECORD of paths alone: so an image can be built from an image, as when a deployer deploys itself."""
    return "".join(f"{path},,\n" for path in sorted(paths)).encode()


def _holds(marker: str) -> bool:
    """Whether an environment marker holds; one of another form than comparisons joined by and/or does."""
    return any(all(map(_compare, both.split(" and "))) for both in marker.split(" or "))


def _compare(comparison: str) -> bool:
    match = _COMPARISON.fullmatch(comparison)
    if match is None:
        return True
    variable, operator, value = match.groups()
    if variable == "extra":
        return False
    facts = {
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "os_name": "posix",
    }
    if variable not in facts:
        return True
    ours, theirs = _comparable(facts[variable]), _comparable(value)
    return {
        "==": ours == theirs,
        "!=": ours != theirs,
        "<": ours < theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        ">=": ours >= theirs,
    }[operator]


def _comparable(text: str) -> tuple[tuple[int, str], ...]:
    """Versions by their numbers, words by their letters."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in text.split("."))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
