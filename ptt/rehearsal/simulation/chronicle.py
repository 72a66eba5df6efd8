"""What came to pass in a scenario, line by line with its time: what a failing seed shows."""

import asyncio


class Chronicle:
    """Lines in the order in which things happened."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    def tell(self, who: str, what: str) -> None:
        """Add a line; the time is the running loop's."""
        now = asyncio.get_running_loop().time()
        self._lines.append(f"{now:12.4f}  {who:<22} {what}")
        for text, waiter in self._waiting:
            if text in what and not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, text: str) -> None:
        """Wait until a line with ``text`` has been told; one that has been already counts."""
        if any(text in line for line in self._lines):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, waiter))
        await waiter

    def __str__(self) -> str:
        return "\n".join(self._lines)
