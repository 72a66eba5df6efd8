"""Images are built alike everywhere, hold what their unit needs and start by themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ptt.deployer import images
from ptt.deployer.images import OWN_SOURCE, Image, build_image
from ptt.host.interpreter import base_interpreter

SERVICE = """
from trial import words

async def serve(unit):
    unit.journal.alarm(words.HELLO)
"""


def write_source(folder: Path) -> Path:
    package = folder / "trial"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "words.py").write_text('HELLO = "hello"\n')
    (package / "service.py").write_text(SERVICE)
    (package / "unused.py").write_text("1 / 0\n")
    return folder


def build(source: Path, into: Path) -> Image:
    return build_image("trial", into, service="trial.service", sources=(source, OWN_SOURCE))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Built once for all that only look at it; its source is gone."""
    folder = tmp_path_factory.mktemp("built")
    built = build(write_source(folder / "source"), folder / "images")
    shutil.rmtree(folder / "source")
    return built


def start(image: Image, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(base_interpreter()), "-I", "-S", "-B", *(arguments or (str(image.folder),))]
    return subprocess.run(
        command, cwd="/", env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_it_holds_what_is_imported_and_no_more(image: Image) -> None:
    assert image.folder.name == f"trial-{image.digest[:16]}"
    assert (image.folder / "trial/words.py").exists()
    assert (image.folder / "ptt/net/run.py").exists()
    assert (image.folder / "uvloop").exists()
    assert not (image.folder / "trial/unused.py").exists()
    assert not (image.folder / "ptt/topology.py").exists()
    assert not (image.folder / "ptt/units").exists()
    assert not (image.folder / "pytest").exists()


def test_it_starts_with_nothing_but_itself(image: Image) -> None:
    done = start(image)
    assert done.returncode == 70  # there is no control stream here
    assert "not a socket" in done.stderr or "Socket operation on non-socket" in done.stderr


def test_all_that_it_loads_is_its_own_or_pythons(image: Image) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(image.folder)!r})\n"
        "import ptt.net.run, trial.service\n"
        "print('\\n'.join(f'{m.__file__} {m.__cached__}' for m in list(sys.modules.values())"
        " if getattr(m, '__file__', None) and hasattr(m, '__cached__')))"
    )
    done = start(image, "-c", program)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    library = str(Path(shutil.__file__).parent)
    for loaded, bytecode in lines:
        assert loaded.startswith((str(image.folder), library))
        if loaded.startswith(str(image.folder)) and loaded.endswith(".py"):
            assert Path(bytecode).exists(), loaded
    assert any("uvloop" in loaded for loaded, _ in lines)


def test_the_same_source_gives_the_same_image_anywhere(image: Image, source: Path, tmp_path: Path) -> None:
    shutil.copytree(OWN_SOURCE / "ptt", source / "ptt", ignore=shutil.ignore_patterns("__pycache__"))
    other = build_image("trial", tmp_path / "others", service="trial.service", sources=(source,))
    assert other.digest == image.digest
    assert other.folder.name == image.folder.name
    ours = {str(path.relative_to(image.folder)) for path in image.folder.rglob("*")}
    theirs = {str(path.relative_to(other.folder)) for path in other.folder.rglob("*")}
    assert ours == theirs


def test_another_word_gives_another_digest(image: Image, source: Path) -> None:
    def digest() -> str:
        return images.digest_of(images.image_files("trial", "trial.service", (source, OWN_SOURCE)))

    assert digest() == image.digest
    (source / "trial/words.py").write_text('HELLO = "good day"\n')
    assert digest() != image.digest


def test_what_is_built_is_found_again(image: Image, source: Path) -> None:
    written_at = image.folder.stat().st_mtime_ns
    assert build(source, image.folder.parent) == image
    assert image.folder.stat().st_mtime_ns == written_at


def test_everybody_may_read_it_and_no_path_of_the_build_is_in_it(image: Image) -> None:
    for path in image.folder.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    for path in image.folder.rglob("*.pyc"):
        content = path.read_bytes()
        assert content[4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked
        assert str(image.folder.parents[1]).encode() not in content
        assert str(OWN_SOURCE).encode() not in content


def test_built_twice_at_once_it_is_one(tmp_path: Path) -> None:
    for _ in range(2):
        images._put({"a.py": b"", "b/c.py": b""}, tmp_path / "trial")
    assert [path.name for path in tmp_path.iterdir()] == ["trial"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(OSError, match=r"a\.py"):
        images._put({"a.py": b"", "a.py/b": b""}, tmp_path / "images" / "trial")
    assert list((tmp_path / "images").iterdir()) == []


def test_source_for_another_python_is_carried_uncompiled(tmp_path: Path) -> None:
    images._put({"a.py": b"print 'two'\n", "b.py": b"'\\d'\n"}, tmp_path / "trial")
    assert [path.stem.split(".")[0] for path in (tmp_path / "trial").rglob("*.pyc")] == ["b"]


def test_an_image_can_be_built_from_an_image(tmp_path: Path) -> None:
    """As when a deployer that runs from an image builds its own successor."""
    first = build_image("deployer", tmp_path / "images", service="ptt.deployer.images")
    program = (
        f"import sys; sys.path.insert(0, {str(first.folder)!r})\n"
        "from pathlib import Path\nfrom ptt.deployer.images import build_image\n"
        f"image = build_image('deployer', Path({str(tmp_path / 'next')!r}), service='ptt.deployer.images')\n"
        "print(image.digest)"
    )
    done = start(first, "-c", program)
    assert done.stdout.strip() == first.digest, done.stderr
