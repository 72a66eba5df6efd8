"""What goes wrong with a repository, as a value, and the exceptions that end a blocking call on the way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GitFailed:
    """Nothing was fetched or pushed. ``reason`` is for people.

    ``needs_operator``: it will not go away by waiting (a host key, a key that is not let in, a size).
    """

    reason: str
    needs_operator: bool = False


class GitTroubleError(Exception):
    """Within a thread: becomes ``GitFailed`` where the thread's call began."""

    def __init__(self, reason: str, *, needs_operator: bool = False) -> None:
        super().__init__(reason)
        self.failed = GitFailed(reason, needs_operator)


class RemoteMovedError(Exception):
    """Within a thread: somebody else has pushed since the fetch."""
