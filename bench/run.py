"""``make bench``: runs ``bench.measure`` in namespaces of its own. ``--quick`` takes a minute, not five."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Become root of a pretend Internet and measure there."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    from ptt.rehearsal.namespace import run  # noqa: PLC0415 - found only from here on

    return run([sys.executable, "-m", "bench.measure", *sys.argv[1:]])


if __name__ == "__main__":
    raise SystemExit(main())
