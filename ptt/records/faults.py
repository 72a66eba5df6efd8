"""A mistake in a file that somebody wrote: at which line, what is wrong, the one thing to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """``line`` counts from 1; 0: the file as a whole, or its name. Nothing in it shows a secret."""

    line: int
    what: str
    mend: str

    def at(self, file: str) -> str:
        """How it is told to people: ``file:line: what`` and the mend on a line of its own."""
        place = f"{file}:{self.line}" if self.line else file
        return f"{place}: {self.what}\n  {self.mend}"
