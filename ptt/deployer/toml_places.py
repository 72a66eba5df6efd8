"""Where each value of a TOML file stands, so that a complaint can point at it.

The standard library's ``tomllib`` gives values without places. This reads the text a second time, only after
``tomllib`` has taken it, and so is no judge of what is TOML: it finds keys, and steps over values (TOML
1.0.0). A value in a list has a place of its own, by its number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)'""")
_STRING = re.compile(r"""\"{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""", re.DOTALL)
_BARE = re.compile(r"[^,\]}\s#]+(?: \d[^,\]}\s#]*)?")  # a date and a time may have a blank between them


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both from 1, of a value, and how it is written (of several lines the first)."""

    line: int
    column: int
    source: str


def find_places(text: str) -> dict[Path, Place]:
    """The place of each value by its path; tables stand where their header does."""
    return _Scanner(text).scan()


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    places: dict[Path, Place] = field(default_factory=dict)
    counts: dict[Path, int] = field(default_factory=dict)
    """How many tables a list of tables has so far."""

    def scan(self) -> dict[Path, Place]:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return self.places
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def _header(self) -> Path:
        start = self.at
        is_list = self.text.startswith("[[", start)
        self.at += 2 if is_list else 1
        path = self._resolve(tuple(self._keys()))
        self.at += 2 if is_list else 1
        if is_list:
            number = self.counts.get(path, 0)
            self.counts[path] = number + 1
            path = (*path, number)
        self._put(path, start)
        return path

    def _resolve(self, keys: tuple[str, ...]) -> Path:
        """A name of a list of tables on the way means its last table."""
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return (*path, keys[-1])

    def _keys(self) -> Iterator[str]:
        while True:
            self._skip(_SPACE)
            found = _KEY.match(self.text, self.at)
            if found is None:  # tomllib would not have taken it
                self.at = len(self.text)
                yield ""
                return
            self.at = found.end()
            yield next(part for part in found.groups() if part is not None)
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return
            self.at += 1

    def _pair(self, table: Path) -> None:
        start = self.at
        path = (*table, *self._keys())
        for length in range(len(table) + 1, len(path)):  # a.b = 1 makes a table a
            self._put(path[:length], start)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        start = self.at
        match self.text[start : start + 1]:
            case '"' | "'":
                self._skip(_STRING)
            case "[":
                self._list(path)
            case "{":
                self._inline_table(path)
            case _:
                self._skip(_BARE)
        if self.at == start:  # tomllib would not have taken it
            self.at = len(self.text)
        self.places.pop(path, None)
        self._put(path, start)

    def _list(self, path: Path) -> None:
        self.at += 1
        number = 0
        while not self._is_at_end("]"):
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while not self._is_at_end("}"):
            self._pair(path)

    def _is_at_end(self, closing: str) -> bool:
        self._skip(_BLANK)
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_BLANK)
        if self.text.startswith(closing, self.at):
            self.at += 1
            return True
        return self.at >= len(self.text)

    def _put(self, path: Path, start: int) -> None:
        line_start = self.text.rfind("\n", 0, start) + 1
        line = self.text.count("\n", 0, start) + 1
        source = self.text[start : max(self.at, start + 1)].split("\n", 1)[0].rstrip()
        self.places.setdefault(path, Place(line, start - line_start + 1, source))
