"""Mail of Alice to the pretend Internet: to friends, to nobody, to servers that wait, block or ask back."""

import asyncio

from ptt.rehearsal.demo.letters import letter
from ptt.rehearsal.demo.places import (
    CAREFUL,
    GMAIL,
    GREYLISTED_S,
    OUR_ADDRESS,
    OUTLOOK,
    PLACES,
    REMOTE,
    YAHOO,
    Place,
)
from ptt.rehearsal.demo.scene import (
    ALICE,
    MS,
    Check,
    Scene,
    is_deferred,
    is_refused,
    lead,
    outcome,
    passed,
    send,
    sentence,
)
from ptt.rehearsal.demo.stage import Stage
from ptt.rehearsal.internet.outlook_like import OutlookLike
from ptt.rehearsal.internet.people import Told
from ptt.rehearsal.our_service import SELECTORS

RETRY_AFTER_S = 1.0  # a real server waits five minutes; the demonstration does not
MAX_TRIES = 5
CAROL = "carol@mirage.org"
ARRIVAL_S = 20.0


async def alice_answers(stage: Stage) -> Scene:
    """Mail of a user goes out signed; the server that gets it asks back whether she is there."""
    message = letter(ALICE, "bob@remote.com", "hello bob", "Hello Bob, Friday suits me well.")
    told = await send(stage.alice(), ALICE, "bob@remote.com", message)
    got = await stage.arrived(REMOTE, b"Subject: hello bob")
    unchanged = bool(got) and got[0].message.endswith(message)
    asked = stage.asked_about(ALICE)
    return Scene(
        "Alice answers from her mail program (port 465, TLS, her password)",
        (
            f"submission -> signer -> relay -> {REMOTE.host_name}   {outcome(told)}",
            f"{REMOTE.host_name} asked our port 25 for {ALICE}; answered: {'yes' if asked else 'NO'}",
            f"what Alice wrote was changed: {'nowhere' if unchanged else 'SOMEWHERE'}; copies: {len(got)}",
        ),
        (
            Check("outbound mail is accepted", told.is_accepted, told.text),
            Check("it arrived once at remote.com", len(got) == 1, f"{len(got)} times"),
            Check("a callout about a sender of ours is answered", asked),
            Check("what Alice wrote is unchanged at remote.com", unchanged),
        ),
    )


async def alice_writes_to_others(stage: Stage) -> Scene:
    """Each server judges the signatures and DMARC by itself."""
    lines, checks = [], []
    for place in (GMAIL, OUTLOOK, YAHOO):
        line, facts = await _one_of_others(stage, place)
        lines.append(line)
        checks += facts
    return Scene(
        "Alice writes to people at three large receivers",
        (*lines, "signed rsa-sha256 and ed25519-sha256"),
        tuple(checks),
    )


async def _one_of_others(stage: Stage, place: Place) -> tuple[str, list[Check]]:
    recipient = f"{place.users[-1]}@{place.domain}"
    server = stage.servers[place.domain]
    before = len(server.accepted)
    message = letter(ALICE, recipient, f"hello {place.users[-1]}", "Hello, here is the report.")
    told = await send(stage.alice(), ALICE, recipient, message)
    got = server.accepted[before:]
    results = got[0].results if got else "-"
    facts = [
        Check(f"{place.domain} takes our mail", told.is_accepted and len(got) == 1, told.text),
        Check(f"250 came after {place.domain}'s 250", bool(got) and told.at >= got[0].at, lead(told, got)),
        Check(
            f"both signatures verify at {place.domain}", results.count("dkim=pass") == len(SELECTORS), results
        ),
        Check(f"DMARC passes at {place.domain}", "dmarc=pass" in results, results),
    ]
    return f"{recipient:<22} {outcome(told)} · {passed(results)}", facts


async def alice_writes_to_the_careful(stage: Stage) -> Scene:
    """Postscreen and greylisting say "not now" to every newcomer; what they say is what Alice is told."""
    message = letter(ALICE, "paul@careful.org", "hello paul", "Hello Paul, the garden table is mended.")
    tries: list[Told] = []
    while len(tries) < MAX_TRIES and not (tries and tries[-1].is_accepted):
        if tries:
            await asyncio.sleep(GREYLISTED_S)
        tries.append(await send(stage.alice(), ALICE, "paul@careful.org", message))
    got = await stage.arrived(CAREFUL, b"Subject: hello paul")
    results = got[0].results if got else "-"
    judge = "OpenDMARC" if stage.real.has_judges else "our own model"
    *deferred, last = tries
    return Scene(
        "Alice writes to paul@careful.org, who knows no newcomers",
        (
            *(f"told: {sentence(told)}" for told in deferred),
            f"she sends again: {outcome(last)}; copies at careful.org: {len(got)}",
            f"{judge} there says: {passed(results)}",
        ),
        (
            Check("careful.org asks a newcomer to wait, in her session", bool(deferred)),
            Check(
                "what it says to her is temporary",
                all(is_deferred(told) for told in deferred),
                sentence(tries[0]),
            ),
            Check("the retry is accepted at careful.org", last.is_accepted, last.text),
            Check("it is delivered exactly once at careful.org", len(got) == 1, f"{len(got)} copies"),
            Check(f"DMARC passes at careful.org, says {judge}", "dmarc=pass" in results, results),
            Check("DKIM passes at careful.org", "dkim=pass" in results, results),
            Check("SPF passes at careful.org", "spf=pass" in results, results),
        ),
    )


async def alice_writes_to_nobody(stage: Stage) -> Scene:
    """The recipient's own server answers in the mail program, mostly before a byte of the message is sent."""
    heard: dict[str, Told] = {}
    for place in PLACES:
        nobody = f"nobody@{place.domain}"
        message = letter(ALICE, nobody, f"anybody at {place.domain}", "Is anybody there?")
        heard[place.domain] = await send(stage.alice(), ALICE, nobody, message)
    early, late = heard[GMAIL.domain], heard[YAHOO.domain]
    return Scene(
        "Alice writes to nobody, at each of them",
        (
            f"refused in her mail program after {early.took_s * MS:.0f} ms: {sentence(early)}",
            f"and where a server tells only after the data: {sentence(late)}",
            f"refused by all {len(heard)}, in her session; no bounce was written",
        ),
        tuple(
            Check(f"nobody@{domain} is refused at once", is_refused(told), told.text)
            for domain, told in heard.items()
        ),
    )


async def the_relay_is_killed(stage: Stage) -> Scene:
    """Whoever handed mail over still has it, and a retry makes no second copy."""
    remote = stage.servers[OUTLOOK.domain]
    recipient = f"{OUTLOOK.users[-1]}@{OUTLOOK.domain}"
    before = len(remote.accepted)
    message = letter(ALICE, recipient, "killed on the way", "Hello, this one has a hard way.")
    hold = remote.hold = asyncio.Event()
    remote.waiting.clear()
    sending = asyncio.ensure_future(send(stage.alice(), ALICE, recipient, message))
    async with asyncio.timeout(ARRIVAL_S):
        await remote.waiting.wait()
    stage.service.host.kill("relay")
    first = await sending
    remote.hold = None
    hold.set()
    await asyncio.sleep(RETRY_AFTER_S)
    await stage.service.host.ready(ARRIVAL_S)  # a slow machine has the next relay later than that
    second = await send(stage.alice(), ALICE, recipient, message)
    copies = len(remote.accepted) - before
    return Scene(
        "The relay is killed before the recipient's server has taken the message",
        (
            f"Alice was told: {first.text}",
            f"she sends again: {outcome(second)}",
            f"copies at {OUTLOOK.domain}: {copies}: nothing lost, nothing doubled",
        ),
        (
            Check("no 250 while the relay is dead", not first.is_accepted, first.text),
            Check(
                "a dead relay is a temporary fault",
                first.reply is None or first.reply.is_temporary,
                first.text,
            ),
            Check("the retry after it is accepted", second.is_accepted, second.text),
            Check("it is delivered exactly once at outlook-like.com", copies == 1, f"{copies} copies"),
        ),
    )


async def our_address_is_blocked(stage: Stage) -> Scene:
    """A refusal for what we are is no refusal of her letter: it is for the operator to mend."""
    manners = stage.manners(OUTLOOK)
    if isinstance(manners, OutlookLike):
        manners.reputation.blocked.add(OUR_ADDRESS)
    recipient = f"{OUTLOOK.users[-1]}@{OUTLOOK.domain}"
    before = len(stage.journal)
    message = letter(ALICE, recipient, "while we are blocked", "Hello, does this one reach you?")
    told = await send(stage.alice(), ALICE, recipient, message)
    said = stage.servers[OUTLOOK.domain].said[-1]
    inbound = letter("bob@remote.com", CAROL, "to be forwarded", "Hello Carol, here is the report.")
    bob = await send(stage.remote(REMOTE), "bob@remote.com", CAROL, inbound)
    alarmed = any("refused for what we are" in line for line in stage.journal[before:])
    return Scene(
        f"{OUTLOOK.domain} blocks our address",
        (
            f"it says: {said}",
            f"Alice is told: {sentence(told)}",
            f"Bob, who writes to {CAROL}, whose mailbox is there: {sentence(bob)}",
            f"the operator's journal has an alarm: {'yes' if alarmed else 'no'}",
        ),
        (
            Check(
                f"{OUTLOOK.domain} refuses our address for good",
                said.is_permanent and "S3140" in str(said),
                str(said),
            ),
            Check("to Alice that is temporary", is_deferred(told), told.text),
            Check("to Bob, whose letter is forwarded there, too", is_deferred(bob), bob.text),
            Check("the operator is alarmed", alarmed),
        ),
    )
