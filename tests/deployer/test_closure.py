"""The closure of imports, judged by grimp, which reads imports with code of its own."""

import sys
from pathlib import Path

import grimp
import pytest

from ptt import topology
from ptt.deployer.closure import closure, find_module
from ptt.deployer.images import OWN_SOURCE
from ptt.errors import ConfigError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def by_grimp(graph: grimp.ImportGraph, entry: str) -> set[str]:
    """What an image must hold: everything upstream, with parents and what those import in turn."""
    found: set[str] = set()
    waiting = {entry}
    while waiting:
        name = waiting.pop()
        if name not in found and name in graph.modules:
            found.add(name)
            waiting |= graph.find_modules_directly_imported_by(name)
            if "." in name:
                waiting.add(name.rpartition(".")[0])
    return found


ENTRIES = ["ptt.net.run", "ptt.net.lifecycle", "ptt.topology"]
ENTRIES += [f"ptt.units.{manifest.name}.service" for manifest in topology.ALL]


def test_it_is_what_grimp_finds() -> None:
    graph = grimp.build_graph("ptt", include_external_packages=True, cache_dir=None)
    compared = 0
    for entry in ENTRIES:
        if find_module(entry, (OWN_SOURCE,)) is None:
            continue
        compared += 1
        ours = closure((entry,), (OWN_SOURCE,))
        theirs = by_grimp(graph, entry)
        assert set(ours.modules) == {name for name in theirs if name.partition(".")[0] == "ptt"}
        external = {name for name in theirs if name.partition(".")[0] != "ptt"}
        assert ours.outside == external - sys.stdlib_module_names
    assert compared >= 3


def test_parents_functions_and_modules_by_name_count(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        {
            "shop/__init__.py": "import shop.prices",
            "shop/prices.py": "NUMBER = 1\n",
            "shop/counter/__init__.py": "",
            "shop/counter/till.py": "def f():\n    from shop import stock\n    import xml.dom, dns.name as n",
            "shop/stock.py": "from shop.prices import NUMBER\nfrom cryptography.x509 import oid",
            "shop/unused.py": "import uvloop",
        },
    )
    found = closure(("shop.counter.till",), (source,))
    assert found.modules == {
        "shop": source / "shop/__init__.py",
        "shop.counter": source / "shop/counter/__init__.py",
        "shop.counter.till": source / "shop/counter/till.py",
        "shop.prices": source / "shop/prices.py",
        "shop.stock": source / "shop/stock.py",
    }
    assert found.outside == {"dns", "cryptography"}


def test_the_first_source_counts(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"shop/__init__.py": "", "shop/one.py": "from shop import two"})
    second = write(tmp_path / "b", {"shop/__init__.py": "import nowhere", "shop/two.py": ""})
    found = closure(("shop.one",), (first, second))
    assert list(found.modules.values()) == [
        first / "shop/__init__.py",
        first / "shop/one.py",
        second / "shop/two.py",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import shop.gone", "shop.gone: there is no such module"),
        ("from . import other", "shop.door imports relatively"),
        ("from .other import x", "shop.door imports relatively"),
        ("def", "cannot be parsed"),
        ("\0", "cannot be parsed"),
    ],
)
def test_what_cannot_be_followed_is_named(tmp_path: Path, text: str, fault: str) -> None:
    source = write(tmp_path, {"shop/__init__.py": "", "shop/door.py": text})
    with pytest.raises(ConfigError, match=fault):
        closure(("shop.door",), (source,))
