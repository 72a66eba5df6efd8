"""The scenes of the demonstration in their order; each does something real and tells what came of it."""

from ptt.rehearsal.demo.certificate_scene import our_host_has_a_certificate
from ptt.rehearsal.demo.inbound_scenes import bob_writes_to_alice, strangers_write_to_alice
from ptt.rehearsal.demo.outbound_scenes import (
    alice_answers,
    alice_writes_to_nobody,
    alice_writes_to_others,
    alice_writes_to_the_careful,
    our_address_is_blocked,
    the_relay_is_killed,
)
from ptt.rehearsal.demo.scene import Play

PLAYS: tuple[Play, ...] = (
    our_host_has_a_certificate,
    bob_writes_to_alice,
    alice_answers,
    alice_writes_to_others,
    alice_writes_to_the_careful,
    alice_writes_to_nobody,
    the_relay_is_killed,
    strangers_write_to_alice,
    our_address_is_blocked,
)
