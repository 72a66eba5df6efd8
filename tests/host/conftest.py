"""Trial units for the tests of the host: their images, and a host that runs them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ptt.deployer.images import OWN_SOURCE, Image, build_image
from ptt.host.unit_spec import UnitSpec
from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Secret
from ptt.net.world import Endpoint

FRONT = Manifest(
    "front",
    "does what a line says",
    (Listen("lines", 0, Channel.SMTP, (INTERNET,)),),
    (Call("back", Channel.LMTP, CallKind.HOP),),
    frozenset({Secret.TLS_KEY}),
    64,
)
BACK = Manifest("back", "answers", (Listen("hop", 0, Channel.LMTP, ("front",)),), (), frozenset(), 64)
ANY_PORT = Endpoint("127.0.0.1", 0)

MakeSpec = Callable[..., UnitSpec]


@pytest.fixture(scope="session")
def make_spec() -> Iterator[MakeSpec]:
    """Make the spec of ``front`` or ``back``; images lie where every user can read them, unlike tmp_path."""
    into = Path(tempfile.mkdtemp(prefix="ptt-images-"))
    into.chmod(0o755)
    sources = (Path(__file__).parent, OWN_SOURCE)

    @cache
    def image_of(name: str) -> Image:
        return build_image(name, into, service=f"trial.{name}", sources=sources)

    def make(name: str, **parts: Any) -> UnitSpec:
        manifest, image = {"front": FRONT, "back": BACK}[name], image_of(name)
        if name == "front":
            parts = {"public": {"lines": (ANY_PORT,)}, "secrets": {"tls_key": "s3cret"}, **parts}
        return UnitSpec(
            manifest=manifest, image=image.folder, digest=image.digest, host_name="mail.example", **parts
        )

    yield make
    shutil.rmtree(into)
