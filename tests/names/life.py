"""The life of a key: generated, published, checked, put to use, replaced, withdrawn, revealed. Months run in seconds."""

import subprocess
from functools import partial

from lab import dig
from owner import DAY, FINGERPRINT, HOUR, MARGIN, NEGATIVE_TTL, START, TTL, Owner, together
from servers import ADDRESSES

OVERLAP = 14 * DAY
DUE = 180 * DAY


def run(names, dkimkit, report):
    report.group("life")
    owner = partial(Owner, names, dkimkit, report)
    together(
        report,
        lambda: whole(owner("live"), ["rsa"], dnssec="insecure"),
        lambda: whole(owner("live-signed"), ["rsa"], dnssec="secure", withdraw="remove"),
        lambda: whole(owner("live", "both"), ["rsa", "ed25519"], dnssec="insecure"),
        lambda: fixed_selectors(owner("live", "fixed"), "live-signed"),
        lambda: by_hand(owner("live", "hand")),
        lambda: lifetimes(owner),
        lambda: unattended(owner("live", "timer")),
    )


def whole(owner, kinds, dnssec, withdraw="revoke"):
    """From the first key to the secret that is given away, and to the next key when it is due."""
    owner.options = ["--withdraw", withdraw]
    # Of a signed zone it also knows what lies between its names.
    owner.trees = [owner.domain] if dnssec == "secure" else owner.trees
    first = set_up(owner, kinds, dnssec)
    old_mail = owner.mail()
    owner.require_passes("mail of the first key", old_mail, first)
    nothing_in_a_dry_run(owner)

    second, new_mail = replace(owner, first, old_mail)
    during_overlap(owner, first, second, old_mail)
    withdrawn(owner, first, second, old_mail, new_mail, withdraw)
    reveal(owner, first, second)
    due(owner, second)


def set_up(owner, kinds, dnssec):
    for kind in kinds:
        owner.generate("-s", f"first-{kind}", "--algorithm", kind, "--activate")
    first = sorted(f"first-{kind}" for kind in kinds)
    code, found = owner.check()
    owner.same("before it is published, check says no", (code, words(found)), (1, ["record-missing"] * len(kinds)))
    done = owner.publish()
    owner.same("publish", done.returncode, 0)
    code, found = owner.check("--wait", "20s")
    owner.same("check waits until all servers have it", (code, set(words(found))), (0, set()))
    code, found = owner.check()
    owner.same("then check has nothing to say", (code, words(found)), (0, []))
    owner.same("the keys that were checked", sorted(found), first)
    owner.same("DNSSEC", {one["dnssec"] for one in found.values()}, {dnssec})
    asked = {server["address"].removesuffix(":53") for one in found.values() for server in one["servers"]}
    owner.same("the servers that were asked", asked, {ADDRESSES[server] for server in owner.servers})
    return first


def words(found):
    return sorted(finding["word"] for one in found.values() for finding in one["findings"])


def nothing_in_a_dry_run(owner):
    files = owner.files()
    turn = owner.rotate("--dry-run")
    owner.same("a dry run says what would come", (turn.code, turn.words, turn.left[:1], turn.answer.get("dry_run")), (0, [], ["generate"], True))
    owner.unchanged("a dry run changes no file", files)
    owner.same("a dry run publishes nothing", owner.published(turn.answer["next"][0]["selector"]), [])


def replace(owner, first, old_mail, hold=NEGATIVE_TTL):
    """From the old keys to new ones; returns these, and mail that they have signed."""
    count = len(first)
    turn = owner.rotate()
    second = sorted(selector for word, selector in turn.did if word == "generate")
    owner.same("a rotation begins", (turn.code, turn.words.count("generate"), turn.words.count("publish")), (75, count, count))
    owner.true("new selectors", len(second) == count and not set(second) & set(first), f"{second}")
    owner.same("the old keys sign on", owner.active(), first)
    owner.require_passes("mail while the record spreads", owner.mail(), first)

    owner.follow()
    turn = owner.rotate()
    owner.same("then it waits for caches", (turn.code, turn.left.count("wait-for-caches"), "switch" in turn.words), (75, count, False))
    served = turn.until("wait-for-caches")
    owner.true("for the time that a name is remembered as missing", owner.now + hold - 5 <= (served or 0) <= owner.now + hold, f"{served} at {owner.now}")
    owner.now = (served or owner.now) - MARGIN
    turn = owner.rotate()
    owner.same("too early nothing happens", (turn.code, turn.words, owner.active()), (75, [], first))
    owner.now = served or owner.now
    turn = owner.rotate()
    owner.same("then the new keys sign", (turn.code, turn.words, owner.active()), (0, ["switch"] * count, second))
    owner.same("the old ones are retired", {owner.states().get(selector) for selector in first}, {"retired"})
    new_mail = owner.mail()
    owner.require_passes("mail of the new keys", new_mail, second)
    owner.require_passes("mail of the old keys, after the switch", old_mail, first)
    return second, new_mail


def latest(owner, selectors):
    """When the last of these keys came to be what it is."""
    keys = owner.keys()
    return max(keys[selector]["since"] for selector in selectors)


def during_overlap(owner, first, second, old_mail, overlap=OVERLAP):
    """Both are served to the end of the overlap, and nothing else begins meanwhile."""
    since = latest(owner, first)
    owner.now = since + overlap - MARGIN
    for args in ([], ["--due", "180d"]):
        turn = owner.rotate(*args)
        owner.same(f"nothing to do in the overlap {args}", (turn.code, turn.words, turn.left.count("wait-for-overlap")), (0, [], len(first)))
        owner.same("when it ends", turn.until("wait-for-overlap"), since + overlap)
    owner.require_passes("mail of the old keys, at the end of the overlap", old_mail, first)
    code, found = owner.check()
    owner.same("check in the overlap", (code, words(found), len(found)), (0, [], len(first) + len(second)))
    owner.now = since + overlap


def withdrawn(owner, first, second, old_mail, new_mail, withdraw):
    turn = owner.rotate()
    owner.same("the old records are withdrawn", turn.words.count("withdraw"), len(first))
    owner.true("it waits, or is through", turn.code == 75 or "revoke" in turn.words, f"{turn}")
    owner.follow()
    turn = owner.rotate() if turn.code == 75 else turn
    owner.same("the keys are revoked", (turn.code, {owner.states().get(selector) for selector in first}), (0, {"revoked"}))
    for selector in first:
        texts = [owner.published(selector, server) for server in owner.servers]
        if withdraw == "remove":
            owner.same(f"{selector} is gone", texts, [[]] * len(texts))
        else:
            owner.true(f"{selector} has an empty p=", all(len(text) == 1 and text[0].endswith("p=") for text in texts), f"{texts}")
    owner.forget()
    reason = "key-not-found" if withdraw == "remove" else "key-revoked"
    owner.same("mail of the old keys", owner.verified(old_mail), {selector: reason for selector in first})
    owner.require_passes("mail of the new keys, still", new_mail, second)
    owner.same("the new keys sign", owner.active(), second)
    turn = owner.rotate()
    owner.same("it is over", (turn.code, turn.words), (0, []))


def reveal(owner, first, second):
    place = owner.names.place / f"revealed-{owner.domain}"
    place.mkdir()
    turn = owner.rotate("--reveal", place)
    owner.same("the secret is kept while caches have the record", (turn.code, turn.words, list(place.iterdir())), (75, [], []))
    owner.now = turn.until("wait-for-caches") or owner.now
    turn = owner.rotate("--reveal", place)
    owner.same("then it is given away", (turn.code, turn.words), (0, ["reveal"] * len(first)))
    files = {FINGERPRINT.sub(".pem", path.name): path.read_text() for path in place.iterdir()}
    old = {f"{selector}._domainkey.{owner.domain}.pem": owner.private(selector) for selector in first}
    owner.true("the secrets of the old keys, and no other", files == old, f"{sorted(files)}")
    turn = owner.rotate("--reveal", place, "--due", "180d")
    owner.same("once", (turn.code, turn.words), (0, []))


def due(owner, second):
    since = latest(owner, second)
    owner.now = since + DUE - MARGIN
    turn = owner.rotate("--due", "180d")
    owner.same("not due", (turn.code, turn.words, turn.until("wait-for-age")), (0, [], since + DUE))
    owner.now = since + DUE
    turn = owner.rotate("--due", "180d")
    owner.same("due", (turn.code, turn.words.count("generate")), (75, len(second)))
    owner.same("who signs", owner.active(), second)


def fixed_selectors(owner, target):
    """Two selectors that are CNAMEs into another zone take turns."""
    owner.options = ["--selectors", "k1,k2"]
    home = f"keys-of-{owner.label}"
    owner.trees.append(f"{target}.test")
    owner.names.update(owner.zone, *(f"add {owner.name(selector)} {TTL} CNAME {selector}.{home}.{target}.test." for selector in ("k1", "k2")))
    owner.generate("-s", "k1")
    code, found = owner.check()
    owner.same("before it is published", (code, words(found)), (1, ["cname-to-nowhere"]))
    owner.same("publish follows the CNAME", owner.publish().returncode, 0)
    owner.same("where the record stands", len(dig("primary", f"k1.{home}.{target}.test").data("TXT")), 1)
    owner.follow(target)
    owner.forget()
    code, found = owner.check()
    owner.same("check", (code, words(found)), (0, []))
    old_mail = owner.mail()
    owner.require_passes("mail of the first key", old_mail, ["k1"])

    secrets = {owner.private("k1")}
    now, after = "k1", "k2"
    for number in (1, 2, 3):
        old_mail = owner.mail()
        turn = owner.rotate()
        owner.same(f"rotation {number} begins", (turn.code, turn.did[:2]), (75, [("generate", after), ("publish", after)]))
        owner.follow(target)
        turn = owner.rotate()
        owner.same(f"rotation {number} waits", (turn.code, turn.left.count("wait-for-caches"), owner.active()), (75, 1, [now]))
        owner.require_passes(f"mail within rotation {number}", owner.mail(), [now])
        owner.now = turn.until("wait-for-caches") or owner.now
        turn = owner.rotate()
        owner.same(f"rotation {number} switches", (turn.code, turn.words, owner.active()), (0, ["switch"], [after]))
        owner.require_passes(f"new mail after rotation {number}", owner.mail(), [after])
        owner.require_passes(f"old mail after rotation {number}", old_mail, [now])
        owner.now += OVERLAP
        turn = owner.rotate()
        owner.follow(target)
        turn = owner.rotate() if turn.code == 75 else turn
        owner.same(f"rotation {number} ends", (turn.code, owner.states()), (0, {now: "revoked", after: "active"}))
        secrets.add(owner.private(after))
        owner.now += 30 * DAY
        now, after = after, now
    owner.same("each time another key", len(secrets), 4)
    aside = [path for path in (owner.store / owner.domain).iterdir() if ".pem.old-" in path.name]
    owner.same("what was replaced is kept aside", len(aside), 2)
    owner.names.update(target, *(f"delete {selector}.{home} TXT" for selector in ("k1", "k2")))


def by_hand(owner):
    """Nobody pushes: what is to be published is printed until it is there."""
    owner.generate("-s", "first")
    owner.put("first", owner.record("first"))
    owner.forget()
    old_mail = owner.mail()
    turn = owner.rotate(by_hand=True)
    owner.same("a person must publish", (turn.code, turn.words, turn.answer.get("result")), (1, ["generate", "publish"], "publish"))
    asked = turn.answer["publish"]
    second = turn.did[0][1]
    owner.same("what is asked for", asked, [{"name": f"{second}._domainkey.{owner.domain}.", "type": "TXT", "record": owner.record(second)}])

    public = owner.record(second).rpartition("p=")[2]
    files = owner.files()
    for form in ("zone", "value", "quoted", "json", "nsupdate", "route53", "pdnsutil"):
        done = text_of(owner, "--format", form)
        said = done.stdout.decode()
        bare = said.replace('"', "").replace("\\", "").replace(" ", "").replace("\n", "").replace("\t", "")
        owner.true(f"asked again in the form {form}", done.returncode == 1 and public in bare, f"exit {done.returncode}: {said}")
        owner.true(f"{form}: what to do then", f"dkimkit rotate {owner.domain}" in done.stderr.decode())
    owner.unchanged("asking changes nothing", files)
    owner.same("nothing was published", owner.published(second), [])

    script = text_of(owner, "--format", "nsupdate", "--ttl", "60").stdout.decode()
    apply(owner, script)
    turn = owner.rotate(by_hand=True)
    owner.same("once it is there, it goes on", (turn.code, turn.words, turn.left.count("wait-for-caches")), (75, ["served"], 1))
    owner.now = turn.until("wait-for-caches") or owner.now
    turn = owner.rotate(by_hand=True)
    owner.same("and switches", (turn.code, turn.words, owner.active()), (0, ["switch"], [second]))
    owner.require_passes("old mail", old_mail, ["first"])
    owner.require_passes("new mail", owner.mail(), [second])

    owner.now += OVERLAP
    turn = owner.rotate(by_hand=True)
    asked = turn.answer.get("publish", [])
    owner.same("the old one is to be withdrawn", (turn.code, turn.words, len(asked)), (1, ["withdraw"], 1))
    owner.true("with an empty p=", asked and (asked[0]["record"] or "").endswith("p="), f"{asked}")
    done = text_of(owner, "--withdraw", "remove")
    owner.true("or to be removed", (done.returncode, done.stdout) == (1, b"") and f"to be removed at first._domainkey.{owner.domain}" in done.stderr.decode(), f"{done}")
    owner.same("the key is not revoked before", owner.states()["first"], "retired")
    apply(owner, text_of(owner, "--format", "nsupdate").stdout.decode())
    turn = owner.rotate(by_hand=True)
    owner.same("once it is, the rotation is over", (turn.code, turn.words, owner.states()), (0, ["revoke"], {"first": "revoked", second: "active"}))


def text_of(owner, *args):
    return owner.run("rotate", *[arg for arg in owner.rotate_args(*args, by_hand=True) if arg != "--json"])


def apply(owner, script):
    """Gives nsupdate the script that was printed, as a person would: with a server and a key."""
    argv = ["nsupdate", "-k", str(owner.names.place / "update.key")]
    done = subprocess.run(argv, input=f"server {ADDRESSES['primary']}\n{script}", capture_output=True, text=True, timeout=30, check=False)
    owner.true("nsupdate takes the script", done.returncode == 0, done.stderr.strip() or script)
    owner.follow()
    owner.forget()


def lifetimes(owner):
    """The old record stays for the longest of --overlap, --expires, and what the store says of the key."""
    cases = {
        "longer-overlap": (["--overlap", "20d"], None, 20 * DAY),
        "longer-expires": (["--overlap", "3d", "--expires", "30d"], None, 30 * DAY),
        "longer-note": (["--overlap", "3d"], 40 * DAY, 40 * DAY),
        "short": (["--overlap", "1h"], None, HOUR),
    }
    for label, (options, note, overlap) in cases.items():
        one = owner("live", label)
        one.generate("-s", "first", "--algorithm", "ed25519")
        one.generate("-s", "second", "--algorithm", "ed25519")
        one.options = options
        if note:
            one.edit(lambda text, note=note: "".join(f"{line} lifetime={note}\n" if line.startswith("first ") else f"{line}\n" for line in text.splitlines()))
        for selector in ("first", "second"):
            one.put(selector, one.record(selector))
        one.now += 1
        one.rotate()
        one.now += HOUR
        turn = one.rotate()
        end = one.keys()["first"]["since"] + overlap
        one.same("the switch", (turn.words, one.active()), (["switch"], ["second"]))
        one.same("the overlap", turn.until("wait-for-overlap"), end)
        one.now = end - MARGIN
        one.same("just before its end", one.rotate().words, [])
        one.now = end
        one.same("at its end", one.rotate().words[:1], ["withdraw"])


def unattended(owner):
    """`rotate --due` every day for a year and a half, as a timer does: three keys, and mail passes every day."""
    owner.generate("-s", "first", "--algorithm", "ed25519")
    owner.publish()
    owner.follow()
    # The file says when the first key began to sign: by the real clock.
    owner.edit(lambda text: text.replace(text.split("first active ")[1].split()[0], "2027-01-15T08:00:00Z"))
    signers = []
    for day in range(0, 540, 15):
        owner.now = START + day * DAY
        for _ in range(4):
            # A timer of an hour, on the days when there is something to do.
            turn = owner.rotate("--due", "180d")
            owner.true(f"day {day}", turn.code in (0, 75) and turn.answer, turn.said)
            if turn.code == 0:
                break
            owner.follow()
            owner.now += HOUR
        owner.same(f"day {day} ends with nothing to do", turn.code, 0)
        signers += [one for one in owner.active() if one not in signers]
        if turn.words or day % 90 == 0:
            owner.require_passes(f"mail of day {day}", owner.mail(), owner.active())
    owner.same("how many keys have signed", len(signers), 3)
    owner.same("their ends", sorted(owner.states().values()), ["active", "revoked", "revoked"])
