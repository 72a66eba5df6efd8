"""How our host came to its certificate: through the DNS, from a pretend authority, before anything else."""

import asyncio
import ssl

from ptt.rehearsal.demo.places import OUR_ADDRESS
from ptt.rehearsal.demo.scene import Check, Scene
from ptt.rehearsal.demo.stage import Stage

HOST = "mail.mirage.org"
ISSUER = "Pretend intermediate"


async def our_host_has_a_certificate(stage: Stage) -> Scene:
    """What a mail program sees on port 465, and what it took."""
    issuer = await _issuer_on_465(stage)
    orders = len(stage.acme.orders)
    return Scene(
        "Our host has got a certificate through the DNS",
        (
            "submission or receiver asked in our zone, letsencrypt ordered, the authority found its token",
            f"port 465 shows one for {HOST} by {issuer!r}, verified; orders: {orders}",
        ),
        (
            Check("the certificate on port 465 is valid and from the authority", issuer == ISSUER, issuer),
            Check("one order was made for all units of a host", orders == 1, f"{orders} orders"),
        ),
    )


async def _issuer_on_465(stage: Stage) -> str:
    context = ssl.create_default_context(cadata=stage.authority.anchor_pem)
    try:
        _, writer = await asyncio.open_connection(OUR_ADDRESS, 465, ssl=context, server_hostname=HOST)
    except OSError as error:
        return str(error)
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    names = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    return str(names.get("commonName", ""))
