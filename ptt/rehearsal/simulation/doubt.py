"""What SMTP itself leaves open (RFC 1047), alike on both lines: why a copy came again, or one too few."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.rehearsal.simulation.scene import Scene
from ptt.rehearsal.simulation.targets import Taken

TRANSIT_S = 1.0  # a 250 is on its way no longer than this: latency, jitter, what is sent before it


@dataclass(frozen=True, slots=True)
class Tries:
    """How often one recipient of a mail was tried. ``untold``: when the tries ended that heard no 250."""

    recipient: str
    names_itself: bool
    """Each try has the one Message-ID of the mail, by which the next is recognised."""
    began_at: float
    untold: Sequence[float]


def why_again(scene: Scene, tries: Tries, copy: Taken, last: float) -> str | None:
    """Why a later try, up to ``last``, had to deliver again though this copy was there."""
    if not copy.is_told:
        return "a second copy: the server's 250 was not sent or cut off"
    # The end of the data goes on its way without a relay that dies meanwhile, and so does the 250.
    if scene.was_disturbed(copy.at - TRANSIT_S, copy.at + TRANSIT_S, "relay", copy.host):
        return "a second copy: the end or its 250 was on its way when the relay died or the path broke"
    if tries.names_itself:
        return None
    ends = (ended_at + TRANSIT_S for ended_at in tries.untold)
    if any(scene.relay_said_250_for(tries.recipient, copy.at, ended_at) for ended_at in ends):
        return "a second copy: our 250 was lost to a sender whose mail has no Message-ID of its own"
    if scene.was_silenced(tries.began_at, last):
        return "a second copy: nobody could tell us that such a sender had left"
    return None


def is_report_lost(scene: Scene, ends: Sequence[float]) -> bool:
    """Whether the report that a 250 was taken may not have come; ``ends``: of the meanings that had one."""
    return scene.was_silenced(0.0, ends[-1]) or any(
        scene.was_disturbed(former - TRANSIT_S, later) for former, later in itertools.pairwise(ends)
    )
