"""Builds what a unit runs from: a folder that holds its code, the code it needs, and nothing else.

The folder is named after its digest, over paths and contents, the Python and the machine that it is for: the
same commit with the same locked packages gives the same digest wherever it is built. Bytecode is compiled in
advance with unchecked hashes (PEP 552), so nothing is written or compared at start; it is derived from the
source, and the digest is the source's. Everybody may read an image: it holds no secret.
"""

import hashlib
import marshal
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

from ptt.deployer import distributions
from ptt.deployer.closure import closure

OWN_SOURCE = Path(__file__).resolve().parents[2]  # the folder that holds ``ptt``
SHOWN_DIGITS = 16  # of the digest, in the folder's name: 64 bits tell all images of one machine apart

MAIN = '''"""Starts the unit {unit}."""

import sys

from ptt.net.run import main
from {service} import serve

sys.exit(main(serve))
'''


@dataclass(frozen=True, slots=True)
class Image:
    """A unit's code, ready to start: ``python3 -I -S -B FOLDER``. ``digest`` is SHA-256, in hexadecimal."""

    folder: Path
    digest: str


def build_image(
    unit: str, into: Path, *, service: str | None = None, sources: Sequence[Path] = (OWN_SOURCE,)
) -> Image:
    """Build the image of a unit, or find it built. ``service`` is the module that holds its ``serve``.

    ``sources`` are folders with the packages of our own, the first counts. ``into`` must be a folder that
    everybody may enter where units run as users of their own. ``ConfigError`` when an import leads nowhere.
    """
    service = service or f"ptt.units.{unit}.service"
    files = image_files(unit, service, sources)
    digest = digest_of(files)
    folder = into / f"{unit}-{digest[:SHOWN_DIGITS]}"
    if not folder.is_dir():
        into.mkdir(mode=0o755, parents=True, exist_ok=True)
        _put(files, folder)
    return Image(folder, digest)


def image_files(unit: str, service: str, sources: Sequence[Path]) -> dict[str, bytes]:
    """All files of an image but its bytecode: contents by path within the folder."""
    own = closure((service, "ptt.net.run"), sources)
    files = {"__main__.py": MAIN.format(unit=unit, service=service).encode()}
    for name, path in own.modules.items():
        stem = name.replace(".", "/")
        files[f"{stem}/__init__.py" if path.name == "__init__.py" else f"{stem}.py"] = path.read_bytes()
    for distribution in distributions.needed(own.outside):
        found = {path: source.read_bytes() for path, source in distributions.files(distribution)}
        files |= found
        folder = next(path for path in found if path.endswith(".dist-info/METADATA")).rpartition("/")[0]
        files[f"{folder}/RECORD"] = distributions.record((*found, f"{folder}/RECORD"))
    return files


def digest_of(files: dict[str, bytes]) -> str:
    """SHA-256 over what the image is for and, sorted, each path with its content's digest."""
    version = ".".join(map(str, sys.version_info[:3]))
    whole = hashlib.sha256(f"{sys.implementation.name} {version} {platform.machine()}\n".encode())
    for path in sorted(files):
        whole.update(f"{hashlib.sha256(files[path]).hexdigest()} {path}\n".encode())
    return whole.hexdigest()


def _put(files: dict[str, bytes], folder: Path) -> None:
    """Write everything beside its place, then move it there: a folder with an image's name is whole."""
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        for path, content in (files | _compiled(files)).items():
            place = building / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        _let_everybody_read(building)
        building.rename(folder)
    except OSError:
        if not folder.is_dir():  # else built by somebody else meanwhile: the same, by its name
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _compiled(files: dict[str, bytes]) -> dict[str, bytes]:
    """The bytecode files that belong beside these sources."""
    bytecode = {path: _bytecode(path, content) for path, content in files.items() if path.endswith(".py")}
    return {_place(path): content for path, content in bytecode.items() if content is not None}


def _place(source: str) -> str:
    """Where Python looks for the bytecode of a source (PEP 3147)."""
    path = Path(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


@lru_cache(maxsize=4096)  # units share most of what they need: some 300 files each
def _bytecode(path: str, source: bytes) -> bytes | None:
    """A file of bytecode as PEP 552 lays it out, with no path of this machine in it.

    None for a source that is for another Python; distributions carry such files and never import them here.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except SyntaxError:
        return None
    unchecked_hash = (1).to_bytes(4, "little")
    return MAGIC_NUMBER + unchecked_hash + source_hash(source) + marshal.dumps(code)


def _let_everybody_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
