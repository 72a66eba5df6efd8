"""asyncio around ``protocol``: it moves bytes, keeps time and decides nothing."""
