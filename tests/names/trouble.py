"""What can go wrong within a rotation: keys that are refused, servers that are down, late or silent, and people."""

import signal
import time
from functools import partial

from bind import Process, joined, wait_until
from lab import dig, serial
from owner import DAY, HOUR, NEGATIVE_TTL, TTL, Owner, push, together

SPF = "v=spf1 -all"


def run(names, dkimkit, report):
    report.group("trouble")
    owner = partial(Owner, names, dkimkit, report)
    together(
        report,
        lambda: refused(owner("live", "refused")),
        lambda: refused_before(owner("live", "unable")),
        lambda: not_the_primary(owner("live", "elsewhere")),
        lambda: removed(owner("live", "removed")),
        lambda: replaced(owner("live", "replaced")),
        lambda: other_text(owner("live", "spf")),
        lambda: two_records(owner("live", "doubled")),
        lambda: quotes(owner("live", "quotes")),
        lambda: strange_type(owner("live", "strange")),
        lambda: wildcard_alias(owner("live", "wild"), "mail._domainkey.rsa2048.test"),
        lambda: wildcard_alias(owner("live", "nowhere"), "nowhere.example"),
        lambda: lost_key(owner("live", "lost")),
        lambda: same_day(owner("live", "shared")),
        lambda: publish_follows(owner("live", "alias"), "live-signed"),
        lambda: late(owner("lagging", "late", servers=("primary", "secondary"))),
        lambda: silent(owner("quiet-server", servers=("primary",))),
    )
    # The primary is stopped, so nothing else may run.
    together(report, lambda: down(owner("live", "down")))


def ready(owner):
    """A domain with one key that is served everywhere."""
    owner.generate("-s", "first", "--algorithm", "ed25519")
    owner.put("first", owner.record("first"))
    owner.forget()
    return owner


def findings(owner, *args):
    """(exit code, the words that check has for each selector, notes left out)."""
    code, found = owner.check(*args)
    return code, {selector: sorted(finding["word"] for finding in one["findings"] if finding["severity"] != "note") for selector, one in found.items()}


def switches(owner, what, selector):
    """From a record that is served everywhere to its use."""
    turn = owner.rotate()
    owner.same(f"{what}, it waits for caches", (turn.code, "wait-for-caches" in turn.left, owner.active()), (75, True, ["first"]))
    owner.now = turn.until("wait-for-caches") or owner.now
    turn = owner.rotate()
    owner.same(f"{what}, it switches", (turn.code, turn.words[-1:], owner.active()), (0, ["switch"], [selector]))
    owner.require_passes(f"{what}, new mail", owner.mail(), [selector])


def refused(owner):
    """A wrong secret, an unknown key, no key: nothing changes at the server, and all goes on with the right one."""
    ready(owner)
    right = owner.push
    owner.generate("-s", "second", "--algorithm", "ed25519")
    for key, says, hint in (("wrong", "BadSig", "log says why"), ("stranger", "BadKey", "log says why"), (None, "REFUSED", "--tsig-key")):
        done = owner.publish("second", push=push(owner.names, key=key))
        said = done.stderr.decode()
        owner.true(f"publish with {key or 'no'} key", done.returncode == 2 and says.lower() in said.lower() and hint in said, f"exit {done.returncode}: {said}")
        owner.push = push(owner.names, key=key)
        turn = owner.rotate()
        owner.true(f"rotate with {key or 'no'} key", turn.code == 2 and says.lower() in turn.said.lower() and hint in turn.said, f"exit {turn.code}: {turn.said}")
        owner.same(f"the states, with {key or 'no'} key", owner.states(), {"first": "active", "second": "pending"})
        owner.same("nothing was published", [owner.published("second", server) for server in owner.servers], [[], []])
        owner.same("what was there is there", owner.published("first"), [owner.record("first")])
        code, words = findings(owner, "second")
        owner.same("check warns of the record that is missing", (code, words), (0, {"second": ["record-missing"]}))
    owner.require_passes("mail meanwhile", owner.mail(), ["first"])
    owner.push = right
    turn = owner.rotate()
    owner.same("with the right key it goes on with the same selector", (turn.code, turn.did[:1]), (75, [("publish", "second")]))
    owner.follow()
    owner.forget()
    switches(owner, "with the right key", "second")


def refused_before(owner):
    """Who may not publish makes no key either."""
    ready(owner)
    owner.push = push(owner.names, key="wrong")
    turn = owner.rotate()
    owner.same("rotate with the wrong key", (turn.code, owner.states()), (2, {"first": "active"}))


def not_the_primary(owner):
    """Servers that do not speak for the zone, or take no updates."""
    ready(owner)
    owner.generate("-s", "second", "--algorithm", "ed25519")
    for server, says in (("lame", "--server names the primary"), ("resolver", "--server names the primary"), ("nsd", "refused the update")):
        done = owner.publish(push=push(owner.names, server))
        said = done.stderr.decode()
        owner.true(f"publish to {server}", done.returncode == 2 and says in said and "hint:" in said, f"exit {done.returncode}: {said}")
    done = owner.publish(push=push(owner.names, "closed"))
    owner.same("publish to nobody", done.returncode, 75)
    owner.push = push(owner.names, "closed")
    turn = owner.rotate()
    owner.same("rotate with nobody there", (turn.code, owner.states()), (75, {"first": "active", "second": "pending"}))
    owner.require_passes("mail meanwhile", owner.mail(), ["first"])
    owner.resolver = "closed"
    turn = owner.rotate()
    owner.same("rotate without a resolver", (turn.code, owner.active()), (75, ["first"]))
    code, words = findings(owner, "first")
    owner.true("check without a resolver", code == 75, f"exit {code}, {words}")


def until_caches(owner):
    """A new key that every server serves; its selector, and when it may sign."""
    owner.rotate()
    owner.follow()
    owner.forget()
    turn = owner.rotate()
    owner.same("all serve the new key", (turn.code, "wait-for-caches" in turn.left), (75, True))
    pending = next((selector for selector, state in owner.states().items() if state == "pending"), None)
    return pending, turn.until("wait-for-caches") or owner.now


def removed(owner):
    """Somebody takes the new record away before it is used: rotate does not switch, publishes again, and waits anew."""
    ready(owner)
    pending, until = until_caches(owner)
    owner.names.update(owner.zone, f"delete {owner.name(pending)} TXT")
    owner.forget()
    owner.same("check warns", findings(owner, pending), (0, {pending: ["record-missing"]}))
    owner.now = until + HOUR
    turn = owner.rotate(by_hand=True)
    owner.same("it notices, and asks for it", (turn.code, turn.words, owner.active()), (1, ["lost", "publish"], ["first"]))
    owner.require_passes("mail meanwhile", owner.mail(), ["first"])
    turn = owner.rotate()
    owner.true("with a server it publishes again", turn.code == 75 and turn.words[:1] == ["publish"] and owner.active() == ["first"], f"{turn}")
    owner.follow()
    turn = owner.rotate()
    owner.true("and waits from now on", owner.now < (turn.until("wait-for-caches") or 0) <= owner.now + NEGATIVE_TTL, f"{turn}")
    switches(owner, "after all that", pending)

    # And where only a dead record remains of the one that signs, check says so.
    owner.put(pending, "v=DKIM1; k=ed25519; p=")
    owner.forget()
    owner.same("a key that signs was revoked", findings(owner, pending), (1, {pending: ["key-revoked"]}))


def replaced(owner):
    """Somebody puts another key in the place of the new one."""
    ready(owner)
    pending, until = until_caches(owner)
    owner.put(pending, owner.record("first"))
    owner.forget()
    owner.same("check says so", findings(owner, pending), (1, {pending: ["different-key"]}))
    owner.now = until + HOUR
    turn = owner.rotate(by_hand=True)
    owner.same("it does not switch", (turn.code, turn.words, "wait-for-name" in turn.left, owner.active()), (1, ["lost"], True, ["first"]))
    turn = owner.rotate()
    owner.same("and does not overwrite it", (turn.code, turn.words, owner.published(pending)), (1, [], [owner.record("first")]))


def other_text(owner):
    """Where the new key is to stand there is a text of SPF: by hand it may stay, and no push takes it away."""
    ready(owner)
    turn = owner.rotate(by_hand=True)
    pending = turn.did[0][1]
    owner.put(pending, SPF)
    owner.forget()
    owner.same("check says that no key stands there", findings(owner, pending), (1, {pending: ["not-a-key-record"]}))
    turn = owner.rotate(by_hand=True)
    owner.same("that is no key that is served", (turn.code, turn.words, owner.active()), (1, ["publish"], ["first"]))
    owner.put(pending, SPF, owner.record(pending))
    owner.forget()
    owner.same("check warns of the two", findings(owner, pending), (0, {pending: ["other-records"]}))
    turn = owner.rotate(by_hand=True)
    owner.same("beside it the key is served", (turn.code, turn.words), (75, ["served"]))
    owner.put(pending, SPF)
    turn = owner.rotate()
    owner.true("it is not taken away", turn.code == 2 and "would be lost" in turn.said and owner.published(pending) == [SPF], f"exit {turn.code}: {turn.said}")
    done = owner.publish(pending, "--force")
    owner.same("unless by force", (done.returncode, owner.published(pending)), (0, [owner.record(pending)]))
    owner.follow()
    owner.forget()
    switches(owner, "after the text of SPF", pending)


def two_records(owner):
    """The new record is added beside an old one: a verifier may take either, so it does not count."""
    ready(owner)
    turn = owner.rotate(by_hand=True)
    pending = turn.did[0][1]
    owner.put(pending, owner.record("first"), owner.record(pending))
    owner.forget()
    owner.same("check says so", findings(owner, pending), (1, {pending: ["several-records"]}))
    turn = owner.rotate(by_hand=True)
    owner.same("it is not served", (turn.code, turn.words, "wait-for-name" in turn.left, owner.active()), (1, [], True, ["first"]))
    owner.put(pending, owner.record(pending))
    owner.forget()
    switches(owner, "after the other is gone", pending)


def quotes(owner):
    """A record that was pasted with its quotes does not count as served; mended, it does."""
    ready(owner)
    turn = owner.rotate(by_hand=True)
    pending = turn.did[0][1]
    for pasted, word in ((f'"{owner.record(pending)}"', "quotes-in-record"), (owner.record(pending).replace(";", "\\;"), "backslash-in-record")):
        owner.put(pending, pasted)
        owner.forget()
        code, words = findings(owner, pending)
        owner.true(f"check says {word}", code == 1 and word in words.get(pending, []), f"exit {code}, {words}")
        for wait in (0, HOUR, DAY):
            owner.now += wait
            turn = owner.rotate(by_hand=True)
            owner.same(f"{word}: it is not served", (turn.code, turn.words, owner.active()), (1, ["publish"], ["first"]))
    owner.put(pending, owner.record(pending))
    owner.forget()
    switches(owner, "when it is mended", pending)


def strange_type(owner):
    """At the name stands a record of a kind that we do not know: it is somebody else's, and stays."""
    ready(owner)
    pending = owner.rotate(by_hand=True).did[0][1]
    stranger = "v=DKIM1; k=mldsa44; p=AAAA"
    owner.put(pending, stranger)
    owner.forget()
    turn = owner.rotate()
    owner.same("rotate leaves it", (turn.code, turn.words, "wait-for-name" in turn.left, owner.published(pending)), (1, [], True, [stranger]))
    done = owner.publish(pending)
    owner.same("so does publish", (done.returncode, owner.published(pending)), (2, [stranger]))


def wildcard_alias(owner, target):
    """Every name is a CNAME to something else: ours gets a record of its own, and what is there stays."""
    owner.names.update(owner.zone, f"add *._domainkey.{owner.label} {TTL} CNAME {target}.")
    owner.follow()
    there = joined(dig("primary", target))
    owner.generate("-s", "first", "--algorithm", "ed25519")
    owner.same("publish", owner.publish().returncode, 0)
    owner.follow()
    owner.forget()
    owner.same("check", findings(owner), (0, {"first": []}))
    turn = owner.rotate()
    owner.same("rotate finds a name at once", (turn.code, turn.words[:2], sorted(owner.states().values())), (75, ["generate", "publish"], ["active", "pending"]))
    pending = turn.did[0][1]
    owner.same("its record stands at its own name", owner.published(pending), [owner.record(pending)])
    owner.same("the other is as it was", joined(dig("primary", target)), there)
    owner.follow()
    owner.forget()
    switches(owner, "beside the wildcard", pending)


def lost_key(owner):
    """A key that is revoked by hand, long before its record is: its private half is kept for a day after that."""
    ready(owner)
    owner.generate("-s", "second", "--algorithm", "ed25519", "--activate")
    place = owner.names.place / "revealed-lost"
    place.mkdir()
    owner.run("keys revoke", owner.domain, "first")
    owner.now += 30 * DAY
    for _ in range(2):
        turn = owner.rotate("--reveal", place, "--due", "180d")
        owner.same("it is kept while it is published", (turn.words, list(place.iterdir())), ([], []))
        owner.now += DAY
    owner.same("it is withdrawn", owner.publish("first").returncode, 0)
    owner.follow()
    before = owner.now
    turn = owner.rotate("--reveal", place, "--due", "180d")
    owner.same("it is kept while caches may have it", (turn.words, list(place.iterdir())), (["gone"], []))
    owner.true("for a day", before <= (turn.until("wait-for-caches") or 0) - DAY <= owner.now, f"{turn}")
    owner.now += DAY
    turn = owner.rotate("--reveal", place, "--due", "180d")
    owner.same("then it is given away", (turn.words, len(list(place.iterdir()))), (["reveal"], 1))
    done = owner.run("keys activate", owner.domain, "first")
    owner.true("and never signs again", done.returncode == 2 and owner.active() == ["second"], f"exit {done.returncode}")


def same_day(owner):
    """Two stores of one domain rotate on one day: the second does not take the selector of the first."""
    ready(owner)
    other = Owner(owner.names, owner.dkimkit, owner.report, owner.zone, owner.label)
    other.store = owner.store.with_name("another-store")
    other.generate("-s", "other", "--algorithm", "ed25519")
    other.put("other", other.record("other"))
    selector = owner.rotate().did[0][1]
    record = owner.published(selector)
    other.follow()
    other.forget()
    turn = other.rotate()
    owner.same("it takes another", (turn.code, turn.did[0][1] != selector, owner.published(selector)), (75, True, record))


def publish_follows(owner, target):
    """publish writes where a CNAME leads to, and removes there."""
    home = f"first.{owner.label}"
    owner.names.update(owner.zone, f"add {owner.name('first')} {TTL} CNAME {home}.{target}.test.")
    owner.trees.append(f"{target}.test")
    owner.generate("-s", "first", "--algorithm", "ed25519")
    done = owner.publish()
    owner.true("it says where", done.returncode == 0 and done.stdout.decode().startswith(f"{home}.{target}.test "), f"exit {done.returncode}: {done.stdout}")
    owner.follow(target)
    owner.forget()
    owner.same("check", findings(owner), (0, {"first": []}))
    owner.require_passes("mail", owner.mail(), ["first"])
    owner.same("what signs is not removed", owner.publish("first", "--remove").returncode, 2)
    done = owner.publish("first", "--remove", "--force")
    owner.follow(target)
    owner.forget()
    owner.same("removed there", (done.returncode, findings(owner)), (0, (1, {"first": ["cname-to-nowhere"]})))


def late(owner):
    """The secondary has nothing until it is told: rotate waits for as long, and does not switch before."""
    owner.generate("-s", "first", "--algorithm", "ed25519")
    owner.put("first", owner.record("first"))
    owner.same("check sees the server that is behind", findings(owner), (1, {"first": ["server-out-of-step"]}))
    owner.names.catch_up("lagging")
    owner.forget()
    owner.same("check, all in step", findings(owner), (0, {"first": []}))

    turn = owner.rotate()
    pending = turn.did[0][1]
    owner.same("published at the primary alone", [owner.published(pending, server) for server in owner.servers], [[owner.record(pending)], []])
    for wait in (0, HOUR, 30 * DAY):
        owner.now += wait
        turn = owner.rotate()
        owner.same(f"it waits, {wait} s later", (turn.code, turn.words, "wait-for-servers" in turn.left, owner.active()), (75, [], True, ["first"]))
    code, words = findings(owner, pending)
    owner.true("check names the matter", code == 1 and "server-out-of-step" in words[pending], f"exit {code}, {words}")
    owner.require_passes("mail meanwhile", owner.mail(), ["first"])

    began = time.monotonic()
    child = owner.dkimkit.start("rotate", *owner.rotate_args("--wait", "4s"), "--keys", owner.store, "--now", owner.now)
    code = child.wait(timeout=60)
    owner.true("--wait waits so long, and no longer", code == 75 and 3.5 < time.monotonic() - began < 15, f"exit {code} after {time.monotonic() - began:.1f} s")
    owner.names.catch_up("lagging")
    owner.forget()
    switches(owner, "when it has caught up", pending)

    owner.now += 14 * DAY
    turn = owner.rotate()
    owner.same("withdrawn at the primary alone", (turn.code, turn.words, owner.states()["first"]), (75, ["withdraw"], "retired"))
    owner.now += DAY
    turn = owner.rotate()
    owner.true("it is not revoked while one serves it", turn.code == 75 and owner.states()["first"] == "retired", f"{turn}")
    owner.names.catch_up("lagging")
    turn = owner.rotate()
    owner.same("then it is", (turn.code, turn.words, owner.states()["first"]), (0, ["revoke"], "revoked"))


def silent(owner):
    """Of two servers one never answers: nobody knows what it serves, so there is no switch."""
    owner.options = ["--timeout", "1s"]
    owner.generate("-s", "first", "--algorithm", "ed25519")
    owner.put("first", owner.record("first"))
    owner.forget()
    code, words = findings(owner)
    owner.true("check warns of the server", code in (0, 75) and words == {"first": ["server-unreachable"]}, f"exit {code}, {words}")
    turn = owner.rotate(by_hand=True)
    owner.same("there is something to publish all the same", (turn.code, turn.words), (1, ["generate", "publish"]))
    pending = turn.did[0][1]
    turn = owner.rotate()
    owner.same("the others get it", (turn.code, turn.words, owner.published(pending)), (75, ["publish"], [owner.record(pending)]))
    owner.forget()
    for wait in (0, HOUR, 30 * DAY):
        owner.now += wait
        turn = owner.rotate()
        owner.same(f"and does not switch, {wait} s later", (turn.code, "wait-for-answers" in turn.left, owner.active()), (75, True, ["first"]))
    owner.same("mail", owner.verified(owner.mail(), "primary"), {"first": "pass"})


def down(owner):
    """The primary is down: the next try goes on where this one has ended."""
    ready(owner)
    owner.options = ["--timeout", "1s"]
    owner.rotate("--dry-run")
    primary = next(one for one in owner.names.running if isinstance(one, Process) and one.log.parent.name == "primary")
    primary.child.send_signal(signal.SIGSTOP)
    try:
        done = owner.publish("--timeout", "1s")
        said = done.stderr.decode()
        owner.true("publish", done.returncode == 75 and "hint:" in said, f"exit {done.returncode}: {said}")
        turn = owner.rotate()
        owner.same("rotate", (turn.code, owner.active()), (75, ["first"]))
        mail = owner.mail()
        owner.same("mail, by the other server", owner.verified(mail, "nsd"), {"first": "pass"})
    finally:
        primary.child.send_signal(signal.SIGCONT)
    wait_until("the primary answers", lambda: serial("primary", "live.test") is not None)
    pending, until = until_caches(owner)
    owner.same("one key waits", sorted(owner.states().values()), ["active", "pending"])
    primary.child.send_signal(signal.SIGSTOP)
    try:
        owner.now = until + DAY
        turn = owner.rotate()
        owner.same("no switch while one cannot be asked", (turn.code, "wait-for-answers" in turn.left, owner.active()), (75, True, ["first"]))
    finally:
        primary.child.send_signal(signal.SIGCONT)
    wait_until("the primary answers", lambda: serial("primary", "live.test") is not None)
    owner.forget()
    turn = owner.rotate()
    owner.same("then it switches", (turn.code, turn.words, owner.active()), (0, ["switch"], [pending]))
