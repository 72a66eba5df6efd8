"""What came to pass in a scenario, line by line with its time: what a failing seed shows."""

import asyncio


class Chronicle:
    """Lines in the order in which things happened."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def tell(self, who: str, what: str) -> None:
        """Add a line; the time is the running loop's."""
        now = asyncio.get_running_loop().time()
        self._lines.append(f"{now:12.4f}  {who:<22} {what}")

    def __str__(self) -> str:
        return "\n".join(self._lines)
