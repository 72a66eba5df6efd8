"""Which modules a program consists of: the closure of its imports, read from the source text.

Nothing is imported and nothing run, so that the source may lie in any folder: a deployer builds what it has
fetched, not what it runs. Imports within functions and under ``TYPE_CHECKING`` count too; modules that are
found by computed names do not, and this project has none.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ptt.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Closure:
    """``modules``: each own module's file, by name; ``outside``: top-level names of other distributions."""

    modules: dict[str, Path]
    outside: frozenset[str]


def closure(entries: Iterable[str], sources: Sequence[Path]) -> Closure:
    """Everything that the modules ``entries`` import, with all parents.

    Own are the packages that the entries belong to, looked for in ``sources`` in that order. ``ConfigError``
    when an own module is missing or cannot be parsed.
    """
    waiting = list(entries)
    own = {name.partition(".")[0] for name in waiting}
    modules: dict[str, Path] = {}
    outside: set[str] = set()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in modules:
            continue
        if top not in own:
            if top not in sys.stdlib_module_names:
                outside.add(top)
            continue
        path = find_module(name, sources)
        if path is None:
            raise ConfigError(name, "there is no such module", "Correct the import, or add the file.")
        modules[name] = path
        waiting += _parents(name)
        waiting += _imports(name, path, sources)
    return Closure(dict(sorted(modules.items())), frozenset(outside))


def find_module(name: str, sources: Sequence[Path]) -> Path | None:
    """The file of a module: a package's ``__init__.py``, or the module's own."""
    for source in sources:
        stem = source.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if path.is_file():
                return path
    return None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(name: str, path: Path, sources: Sequence[Path]) -> Iterator[str]:
    try:
        statements = _import_statements(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ConfigError(str(path), f"cannot be parsed: {error}", "Correct the file.") from error
    for package, names in statements:
        if package is None:
            raise ConfigError(str(path), f"{name} imports relatively", "Name the whole module.")
        yield package
        # What is imported from a package may be a module of it.
        submodules = (f"{package}.{each}" for each in names)
        yield from (module for module in submodules if find_module(module, sources) is not None)


@lru_cache(maxsize=1024)  # units share most of their modules, and parsing them is what takes time
def _import_statements(source: bytes) -> tuple[tuple[str | None, tuple[str, ...]], ...]:
    """Each import as (module, names taken from it); the module is None where it is relative."""
    found: list[tuple[str | None, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [(alias.name, ()) for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                found.append((module if level == 0 else None, tuple(alias.name for alias in names)))
            case _:
                pass
    return tuple(found)
