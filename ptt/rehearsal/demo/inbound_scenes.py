"""Mail from the pretend Internet for Alice: a friend's, and that of three strangers."""

from ptt.rehearsal.demo.letters import letter
from ptt.rehearsal.demo.places import GMAIL, PLAIN_DOMAIN, REMOTE, YAHOO
from ptt.rehearsal.demo.scene import (
    ALICE,
    Check,
    Scene,
    field_of,
    is_refused,
    label_of,
    outcome,
    outcome_and_lead,
    send,
    sentence,
    verdicts,
)
from ptt.rehearsal.demo.stage import Stage


async def bob_writes_to_alice(stage: Stage) -> Scene:
    """Mail from outside comes through receiver, spam_filter and relay to Alice's own mailbox."""
    home = stage.servers[GMAIL.domain]
    message = letter(
        "bob@remote.com",
        ALICE,
        "hello alice",
        "Hello Alice, shall we have lunch on Friday? I read the report.",
    )
    before = len(home.accepted)
    told = await send(stage.remote(REMOTE), "bob@remote.com", ALICE, message)
    got = home.accepted[before:]
    unchanged = bool(got) and got[0].message.endswith(message)
    sender = str(got[0].reverse_path) if got else "-"
    label = label_of(got[0].message) if got else "-"
    results = got[0].results if got else "-"
    stamped = field_of(got[0].message, "Authentication-Results") if got else ""
    return Scene(
        f"Bob (bob@remote.com) writes to {ALICE}",
        (
            f"remote.com -> receiver -> spam_filter -> relay -> {GMAIL.host_name}",
            outcome_and_lead(told, got),
            f"at our door: {verdicts(stamped)} · {label}",
            f"at {GMAIL.domain}: {verdicts(results)}",
            f"envelope sender rewritten: {sender}",
            f"author's octets changed: {'none' if unchanged else 'SOME'}",
        ),
        (
            Check("inbound mail is accepted", told.is_accepted, told.text),
            Check(f"it arrived once at {GMAIL.domain}", len(got) == 1, f"{len(got)} times"),
            Check(f"Bob's 250 came after {GMAIL.domain}'s 250", bool(got) and told.at >= got[0].at),
            Check("the author's octets are unchanged", unchanged),
            Check("the envelope sender is ours (SRS)", sender.endswith("@srs.mirage.org"), sender),
            Check(f"SPF passes at {GMAIL.domain}", "spf=pass" in results, results),
            Check(f"DMARC of the author passes at {GMAIL.domain}", "dmarc=pass" in results, results),
            Check("a friend's letter is labelled as no spam", label.startswith("not spam"), label),
        ),
    )


async def strangers_write_to_alice(stage: Stage) -> Scene:
    """A forger, an advertiser, and one whose mail Alice's own mailbox does not take."""
    home = stage.servers[GMAIL.domain]
    before = len(home.accepted)
    forged = await send(
        stage.stranger(),
        f"x@{PLAIN_DOMAIN}",
        ALICE,
        letter(ALICE, ALICE, "from myself", "Please send money."),
    )
    spam = letter(
        "yolanda@yahoo-like.net",
        ALICE,
        "a prize",
        "Congratulations winner! Claim your prize money now, click here urgently!",
        "Guaranteed, no risk, limited offer, cheap pills, free bonus, order now!",
    )
    advertised = await send(stage.remote(YAHOO), "yolanda@yahoo-like.net", ALICE, spam)
    got = home.accepted[before:]
    label = label_of(got[0].message) if got else "-"
    unsigned = letter(f"x@{PLAIN_DOMAIN}", ALICE, "unsigned", "My server has not learned to sign.")
    plain = await send(stage.stranger(), f"x@{PLAIN_DOMAIN}", ALICE, unsigned)
    direct = await send(stage.stranger(GMAIL.address), f"x@{PLAIN_DOMAIN}", f"alice@{GMAIL.domain}", unsigned)
    return Scene(
        "Strangers write to Alice",
        (
            f"in Alice's own name: {sentence(forged)}",
            f"an advertisement: {outcome(advertised)}, labelled {label}",
            f"whose domain asks for DMARC and signs nothing: {sentence(plain)}",
        ),
        (
            Check("a forged author of ours is refused", is_refused(forged), forged.text),
            Check("an advertisement is labelled as spam", label.startswith("spam"), label),
            Check(f"{GMAIL.domain} refuses what fails DMARC once forwarded", is_refused(plain), plain.text),
            Check("that refusal reaches the sender's session", "5.7.26" in plain.text, plain.text),
            Check(f"{GMAIL.domain} refuses addresses without a name", "5.7.25" in direct.text, direct.text),
            Check("nothing that was refused is delivered", len(home.accepted) == before + 1),
        ),
    )
