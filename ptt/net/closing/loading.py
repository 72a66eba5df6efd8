"""Everything that Python and its libraries would fetch from files later, fetched now.

Whatever is not loaded when a unit closes cannot be loaded any more. The tests' runs of real processes show
that nothing is missing here: each import or open after closing stands in the journal (``breaches``).
"""

import codecs
import ctypes
import importlib
import linecache
import sys
import time
from contextlib import suppress

from ptt.net.tls import system_trust_anchors

CODECS = ("ascii", "utf-8", "utf-8-sig", "latin-1", "cp1252", "idna", "punycode", "unicode_escape")
MODULES = (
    "concurrent.futures.thread",  # asked for by name when the first worker is made
    "encodings.idna",
    "stringprep",
    "unicodedata",
    "traceback",
)
MODULES_OF_SOME_PYTHONS = ("_colorize", "_suggestions")  # tracebacks of 3.13
UNWINDER = "libgcc_s.so.1"  # which the C library loads when the first thread ends early


def load_everything(*, trust_anchors: bool) -> None:
    """Import and read what is found by name at run time. ``trust_anchors``: the system's authorities too."""
    for name in CODECS:
        codecs.lookup(name)
    for name in MODULES:
        importlib.import_module(name)
    for name in MODULES_OF_SOME_PYTHONS:
        with suppress(ImportError):
            importlib.import_module(name)
    if (rdata := sys.modules.get("dns.rdata")) is not None:  # only in images that have it
        rdata.load_all_types()
    with suppress(OSError):  # another C library
        ctypes.CDLL(UNWINDER)
    time.localtime()  # reads the time zone
    if trust_anchors:
        system_trust_anchors()
    _leave_sources_alone()


def _leave_sources_alone() -> None:
    """Tracebacks name file, line and function; the line's text they would read from the source."""

    def no_lines(_filename: str, _module_globals: dict[str, object] | None = None) -> list[str]:
        return []

    setattr(linecache, "updatecache", no_lines)  # noqa: B010 - a module's function, which mypy would not let go
