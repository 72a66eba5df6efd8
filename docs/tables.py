"""Write the tables of docs/ that are derived from the code, or say how they differ (``--check``).

``docs/rfcs.md``: every RFC that ``ptt/`` cites, and every ``Deviation:``. ``docs/units.md``: the manifests.
``docs/host.md``: what each manifest leaves to somebody who owns the unit. ``tests/deployer/modules/``: what
each unit's image consists of, so that a review sees when one grows.
``docs/configuration.md``: what may stand in ``ptt.toml``, from the fields of ``Config``.
A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; the prose around it is kept.
"""

import dataclasses
import difflib
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ptt.deployer.closure import closure
from ptt.deployer.config import MIB, Config
from ptt.deployer.config_kinds import DURATION, SIZE
from ptt.deployer.config_reading import Setting
from ptt.deployer.distributions import needed
from ptt.deployer.original_names import KNOWN_BY_ITSELF, RENAMED, SECRETS
from ptt.host.rights import rights_of
from ptt.manifest import INTERNET, Call, Listen, Manifest
from ptt.topology import ALL

DOCS = Path(__file__).resolve().parent
CODE = DOCS.parent / "ptt"
MODULES = DOCS.parent / "tests" / "deployer" / "modules"
CITATION = re.compile(r"\bRFC (\d{3,5})\b")
NO_TITLE = "add its title to docs/rfc-titles.toml"
DEVIATION = "Deviation:"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def citations() -> dict[int, set[str]]:
    """Give for each RFC the files that cite it."""
    where = defaultdict(set)
    for path, text in _sources():
        for number in CITATION.findall(text):
            where[int(number)].add(path)
    return where


def deviations() -> list[tuple[str, str]]:
    """Give each place where an RFC is left on purpose: file and what the comment says."""
    return [
        (path, said)
        for path, text in _sources()
        for number, line in enumerate(text.splitlines())
        if DEVIATION in line
        for said in [_whole_comment(text.splitlines()[number:])]
    ]


def _sources() -> Iterator[tuple[str, str]]:
    for path in sorted(CODE.rglob("*.py")):
        yield str(path.relative_to(CODE.parent)), path.read_text(encoding="utf-8")


def _whole_comment(lines: list[str]) -> str:
    """Join the lines of a comment, or of a paragraph of a docstring, from ``Deviation:`` on."""
    before, _, first = lines[0].partition(DEVIATION)
    is_comment = "#" in before
    said = [first]
    for line in lines[1:]:
        stripped = line.strip()
        if is_comment and not stripped.startswith("#"):
            break
        if not is_comment and (not stripped or '"""' in said[-1]):
            break
        said.append(stripped.lstrip("#"))
    return " ".join(" ".join(said).replace('"""', "").split())


def rfcs_table() -> str:
    """Number, title and users of each cited RFC."""
    titles = tomllib.loads((DOCS / "rfc-titles.toml").read_text(encoding="utf-8"))
    rows = ["| RFC | title | where |", "| --- | --- | --- |"]
    for number, files in sorted(citations().items()):
        title = titles.get(str(number), NO_TITLE)
        rows.append(f"| {number} | {title} | {', '.join(f'`{file}`' for file in sorted(files))} |")
    return "\n".join(rows)


def deviations_table() -> str:
    """File and text of each deviation."""
    rows = ["| where | what we do instead, and why |", "| --- | --- |"]
    rows += [f"| `{path}` | {said.replace('|', chr(92) + '|')} |" for path, said in deviations()]
    return "\n".join(rows)


def units_table() -> str:
    """One section a unit."""
    return "\n\n".join(_unit(manifest) for manifest in ALL)


def _unit(manifest: Manifest) -> str:
    secrets = ", ".join(sorted(f"`{secret}`" for secret in manifest.secrets)) or "nothing"
    rows = [
        *(("may be called", _listen(listen)) for listen in manifest.listens),
        *(("may call", _call(call)) for call in manifest.calls),
        ("holds", secrets),
        ("memory", f"{manifest.memory_mb} MB and the mail in flight"),
        ("two generations at once", str(manifest.overlap)),
    ]
    table = "\n".join(f"| {what} | {value} |" for what, value in rows)
    purpose = f"{manifest.purpose[0].upper()}{manifest.purpose[1:]}."
    return f"## {manifest.name}\n\n{purpose}\n\n| | |\n| --- | --- |\n{table}"


def _listen(listen: Listen) -> str:
    callers = ", ".join("the Internet" if name == INTERNET else f"`{name}`" for name in listen.callers)
    return f"by {callers}: {listen.channel}, port {listen.port} (`{listen.name}`)"


def _call(call: Call) -> str:
    callee = "the Internet" if call.callee == INTERNET else f"`{call.callee}`"
    ports = f", ports {', '.join(map(str, call.ports))}" if call.ports else ""
    return f"{callee}: {call.channel}{ports} ({call.kind})"


def config_table() -> str:
    """One section a table of ``ptt.toml``, the top of the file first."""
    return "\n\n".join(_config_sections(Config, ""))


def _config_sections(form: type[Any], path: str) -> Iterator[str]:
    stated = [each for each in dataclasses.fields(form) if each.metadata]
    rows = [_setting_row(each) for each in stated if "setting" in each.metadata]
    head = f"## `[{path}]`" if path else "## At the top"
    yield "\n".join(
        [head, "", "| setting | kind | default | what it is |", "| --- | --- | --- | --- |", *rows]
    )
    for each in stated:
        inner = each.metadata.get("table") or each.metadata.get("tables")
        if inner is not None:
            name = f"{path}.{each.name}" if path else each.name
            yield from _config_sections(inner, f"[{name}]" if "tables" in each.metadata else name)


def _setting_row(each: "dataclasses.Field[Any]") -> str:
    stated: Setting = each.metadata["setting"]
    default = "must be there" if stated.is_required else stated.default_says or f"`{_shown(each, stated)}`"
    return f"| `{each.name}` | {stated.kind.name} | {default} | {stated.says} |"


def _shown(each: "dataclasses.Field[Any]", stated: Setting) -> str:
    """A default as it would be written."""
    value: Any = each.default
    if stated.kind is SIZE:
        return f'"{value / MIB:g} MiB"'
    if stated.kind is DURATION:
        return f'"{value:g} s"'
    if isinstance(value, tuple):
        return "[]"
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def original_table() -> str:
    """The original's names and what becomes of them."""
    rows = ["| the original's name | here |", "| --- | --- |"]
    rows += [f"| `{name}` | `{'.'.join(map(str, path))}` |" for name, path in RENAMED.items()]
    rows += [f"| `{name}` | a secret: `{command}` |" for name, command in SECRETS.items()]
    rows += [f"| `{name}` | has no effect: {why} |" for name, why in KNOWN_BY_ITSELF.items()]
    return "\n".join(rows)


def threats_table() -> str:
    """What somebody who owns a unit can still do, by its manifest."""
    rows = [
        "| unit | holds | may connect to | datagrams | source address |",
        "| --- | --- | --- | --- | --- |",
    ]
    for manifest in ALL:
        rights = rights_of(manifest, {}, {}, own_user=True)
        secrets = ", ".join(sorted(f"`{secret}`" for secret in manifest.secrets)) or "nothing"
        calls = "<br>".join(map(_call, manifest.calls)) or "nobody"
        udp = "to any address" if rights.udp else "none"
        source = "its choice" if rights.internet else "none"
        rows.append(f"| `{manifest.name}` | {secrets} | {calls} | {udp} | {source} |")
    return "\n".join(rows)


def module_lists() -> dict[Path, str]:
    """Modules of our own and whole distributions of others in each unit's image, by the file of the list."""
    lists = {}
    for manifest in ALL:
        found = closure((f"ptt.units.{manifest.name}.service", "ptt.net.run"), (CODE.parent,))
        lines = [
            f"The image of {manifest.name}: `make docs` rewrites this list.",
            *(f"distribution {each.metadata['Name'].lower()}" for each in needed(found.outside)),
            *(f"module {name}" for name in found.modules),
        ]
        lists[MODULES / f"{manifest.name}.txt"] = "\n".join(lines) + "\n"
    return lists


TABLES = {
    "rfcs": rfcs_table,
    "deviations": deviations_table,
    "units": units_table,
    "config": config_table,
    "original": original_table,
    "threats": threats_table,
}
PAGES = ("rfcs.md", "units.md", "configuration.md", "host.md")


def filled(page: str) -> str:
    """Give the page with its tables made anew."""
    return TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", page)


def main(arguments: list[str]) -> int:
    """Rewrite the pages; with ``--check`` print what would change and return 1."""
    changed = 0
    pages = {DOCS / name: filled((DOCS / name).read_text(encoding="utf-8")) for name in PAGES}
    for path, new in {**pages, **module_lists()}.items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == new:
            continue
        changed = 1
        if "--check" in arguments:
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(keepends=True), new.splitlines(keepends=True), path.name, "make docs"
                )
            )
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(new, encoding="utf-8")
            print(f"{path.name} rewritten")
    return changed if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
