"""Reads tables of ``ptt.toml`` into dataclasses whose fields say what they are: all mistakes at once.

A field made by ``setting`` states kind, default and meaning; the reader, the reference in the docs and the
search for the nearest known name come from that alone. Each mistake has its place, the line as it is
written, and a mark below the value with what belongs there.
"""

import dataclasses
import difflib
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar, cast

from ptt.deployer.config_kinds import Kind
from ptt.deployer.toml_places import Path, Place
from ptt.errors import Malformed

T = TypeVar("T")

WIDTH = 80  # of the terminals that mistakes are written for
SHOWN_VALUE = 40  # characters of a wrong value
SHOWN_NAMES = 10  # of settings, where none is like the wrong one
INDENT = 2  # what stands below the first line of an error
HANGING = 6  # columns, for a sentence that has no room behind its mark


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field of a table is. ``is_required``: it has no default."""

    kind: Kind[Any]
    says: str
    is_required: bool = False
    default_says: str = ""
    """The default in words, where its value would not tell."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """``path`` names the value; ``what`` is a sentence on what belongs there."""

    path: Path
    what: str
    is_about_name: bool = False
    """The name itself is wrong, so the value is not shown."""


def setting(kind: Kind[T], says: str, default: T | None = None, *, default_says: str = "") -> T:
    """A field of a table. No default: it must be there."""
    is_required = default is None and not default_says
    stated = Setting(kind, says, is_required, default_says)
    metadata = {"setting": stated}
    return cast("T", field(metadata=metadata) if is_required else field(default=default, metadata=metadata))


def table(form: type[T], says: str) -> T:
    """A field that is a table of its own, whose settings all have defaults."""
    return field(default_factory=form, metadata={"table": form, "says": says})


def tables(form: type[T], says: str) -> tuple[T, ...]:
    """A field that is a list of tables."""
    return cast("tuple[T, ...]", field(default=(), metadata={"tables": form, "says": says}))


def maybe_table(form: type[T], says: str) -> T | None:
    """A table that may be left out."""
    return cast("T | None", field(default=None, metadata={"table": form, "says": says}))


def read_table(form: type[T], values: Mapping[str, Any], mistakes: list[Mistake], path: Path = ()) -> T:
    """Read one table. What is wrong is added to ``mistakes`` and stands at its default in the result."""
    fields = {each.name: each for each in dataclasses.fields(cast("Any", form)) if each.metadata}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            mistakes.append(Mistake((*path, name), _unknown(name, list(fields)), is_about_name=True))
            continue
        before = len(mistakes)
        read = _read_field(fields[name], value, mistakes, (*path, name))
        if len(mistakes) == before:
            found[name] = read
    for name, each in fields.items():
        if name not in values and each.default is MISSING and each.default_factory is MISSING:
            stated: Setting = each.metadata["setting"]
            what = f"{name} is missing: {stated.says}"
            mistakes.append(Mistake((*path, name), what, is_about_name=True))
    blanks = {name: None for name, each in fields.items() if each.default is MISSING and name not in found}
    needed = {name: None for name in blanks if fields[name].default_factory is MISSING}
    return form(**{**needed, **found})


def _read_field(stated: dataclasses.Field[Any], value: object, mistakes: list[Mistake], path: Path) -> Any:
    if "tables" in stated.metadata:
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            mistakes.append(Mistake(path, f"a list of tables: [[{stated.name}]]"))
            return ()
        form = stated.metadata["tables"]
        return tuple(read_table(form, each, mistakes, (*path, number)) for number, each in enumerate(value))
    if "table" in stated.metadata:
        if not isinstance(value, dict):
            mistakes.append(Mistake(path, f"a table: [{stated.name}]"))
            return None
        return read_table(stated.metadata["table"], value, mistakes, path)
    kind: Kind[Any] = stated.metadata["setting"].kind
    read = kind.read(value)
    if isinstance(read, Malformed):
        mistakes += _wrong_entries(kind, value, path) or [Mistake(path, read.reason)]
    return read


def _wrong_entries(kind: Kind[Any], value: object, path: Path) -> list[Mistake]:
    """Which entries of a list are wrong."""
    if kind.each is None or not isinstance(value, list):
        return []
    reads = [(number, kind.each.read(entry)) for number, entry in enumerate(value)]
    return [Mistake((*path, number), read.reason) for number, read in reads if isinstance(read, Malformed)]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    if near:
        return f"there is no {name}; did you mean {near[0]}?"
    if len(known) > SHOWN_NAMES:
        return f"there is no {name}; docs/configuration.md names what there is"
    return f"there is no {name}; known here: {', '.join(sorted(known))}"


def tell(mistakes: list[Mistake], places: Mapping[Path, Place], file: str) -> str:
    """All mistakes as an operator reads them, in the order of their lines."""
    placed = [(_place_of(each.path, places), each) for each in mistakes]
    placed.sort(key=lambda pair: (pair[0].line, pair[0].column))
    return "\n".join(line for place, mistake in placed for line in _told(mistake, place, file))


def _place_of(path: Path, places: Mapping[Path, Place]) -> Place:
    """The value's own place, else that of the nearest table around it; a missing value's is the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return Place(1, 1, "")


def _told(mistake: Mistake, place: Place, file: str) -> Iterator[str]:
    start = f"{file}:{place.line}: {_dotted(mistake.path)}"
    if mistake.is_about_name:
        yield from _wrapped(f"{start}: {mistake.what}", "")
        return
    shown = place.source if len(place.source) <= SHOWN_VALUE else place.source[:SHOWN_VALUE] + "…"
    yield f"{start} = {shown}"
    mark = " " * len(f"{start} = ") + "^"
    if len(mark) + 1 + len(mistake.what) <= WIDTH - INDENT:
        yield f"{mark} {mistake.what}"
        return
    yield mark
    yield from _wrapped(mistake.what, " " * HANGING)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH - INDENT,
        initial_indent=indent,
        subsequent_indent=" " * HANGING,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _dotted(path: Path) -> str:
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
