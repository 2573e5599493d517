"""A rotation that is killed, wherever that may be, and resumed: it ends as if nothing had happened, and at no moment
is mail signed with a key that is not served.

With strace a run is killed at the Nth call of a system call, for each N until a run is through; and after delays,
as an impatient person does it. With NAMES_FULL=1 at each call, and after many delays.
"""

import os
import re
import shutil
import subprocess
import threading
import time
from functools import partial
from itertools import count

from owner import DAY, FINGERPRINT, HOUR, Owner, together

FULL = os.environ.get("NAMES_FULL") == "1"
# How far to go from one call to the next: by these files change and servers are spoken to.
CALLS = {"openat": 11, "flock": 2, "fsync": 1, "linkat": 1, "renameat": 1, "renameat2": 1, "sendto": 11}
ALL_CALLS = {call: 1 for call in (*CALLS, "fchmod", "write", "connect")}
# Where the pair of a fixed selector is replaced, these alone are not as in any other rotation.
FIXED_CALLS = ("linkat", "renameat")
ALL_FIXED_CALLS = ("openat", "flock", "fsync", "linkat", "renameat", "fchmod")
DELAYS = 60 if FULL else 6
OVERLAP = 14 * DAY
RESUMES = 8


def run(names, dkimkit, report):
    report.group("kills")
    owner = partial(Owner, names, dkimkit, report, "live")
    model, fixed_model = Model(owner), FixedModel(owner)
    together(report, model.learn, fixed_model.learn)
    tasks = [lambda: no_pause(owner("no-pause")), lambda: no_pause(owner("no-pause-fixed"), "--selectors", "k1,k2"), lambda: two_at_once(owner("two"))]
    tasks.append(lambda: delays(Model(owner, "rsa")))
    if shutil.which("strace"):
        for call, step in (ALL_CALLS if FULL else CALLS).items():
            tasks.append(partial(sweep, model, call, step))
            if call in (ALL_FIXED_CALLS if FULL else FIXED_CALLS):
                tasks.append(partial(sweep, fixed_model, call, step))
        tasks.append(lambda: hail(model))
    else:
        report.true("strace is there", os.environ.get("CI") != "true", "run tests/names/install")
    together(report, *tasks, jobs=4)


class Model:
    """A rotation of one key from its beginning to the secret that is given away, in phases: each is the work of a moment."""

    name = "plain"

    def __init__(self, owner, algorithm="ed25519"):
        self.owner, self.algorithm = owner, algorithm
        self.undisturbed = None

    def learn(self):
        """What the end is when nobody disturbs."""
        one = self.begin(f"{self.name}-{self.algorithm}")
        for phase in self.phases:
            finish(one, phase(one))
        self.undisturbed = ending(one)

    def begin(self, label):
        one = self.owner(label)
        # What is asked of the next record too: it must come through a kill.
        one.generate("-s", "first", "--algorithm", self.algorithm, "--strict-identity", "--service", "email")
        one.edit(lambda text: re.sub(r"\d{4}-\S+", "2027-01-01T00:00:00Z", text))
        one.publish()
        one.follow()
        one.revealed = one.names.place / f"revealed-{one.domain}"
        one.revealed.mkdir()
        one.options = ["--reveal", one.revealed]
        return one

    @property
    def phases(self):
        return [self.generate_and_publish, self.switch, self.withdraw, self.reveal]

    # Each moves the clock, and returns (what is to be done then, what may be left when it is done).

    @staticmethod
    def generate_and_publish(_):
        return "wait-for-caches"

    @staticmethod
    def switch(one):
        one.now += HOUR
        return "wait-for-overlap"

    @staticmethod
    def withdraw(one):
        one.now += OVERLAP
        return "wait-for-caches"

    @staticmethod
    def reveal(one):
        one.now += HOUR
        return "wait-for-age"


class FixedModel(Model):
    """The same with two selectors that take turns, when the pair of the first is replaced."""

    name = "fixed"

    def begin(self, label):
        one = super().begin(label)
        one.options = ["--selectors", "first,second"]
        for phase in self.phases:
            finish(one, phase(one))
        one.now += 30 * DAY
        return one

    @property
    def phases(self):
        return [self.generate_and_publish, self.switch, self.finish_it]

    @staticmethod
    def finish_it(one):
        one.now += OVERLAP
        return "wait-for-age"


def finish(one, word):
    """Runs it until it waits for what the phase ends with."""
    for _ in range(RESUMES):
        turn = one.rotate()
        # Only what DNS is waited for is no end of the work.
        if word in turn.left and turn.code == (75 if word == "wait-for-caches" else 0):
            return
        one.follow()
    one.true("a run that nobody disturbs goes on", False, f"exit {turn.code}, no {word}: {turn.answer or turn.said}")


def ending(one):
    """All that should be the same in the end, but times and secrets."""
    states = (one.store / one.domain / "selectors").read_text().split("\n", 1)[1]
    selectors = list(one.states())
    records = [re.sub(r"p=.+", "p=…", text) for selector in selectors for text in [one.record(selector), *one.published(selector), *one.published(selector, "nsd")]]
    hidden = [path.name for path in (one.store / one.domain).iterdir() if path.name.startswith(".") and path.name != ".rotation"]
    revealed = sorted(FINGERPRINT.sub(".pem", path.name.replace(one.domain, "…")) for path in one.revealed.iterdir())
    return {"selectors": re.sub(r"\d{4}-\S+Z", "…", states), "records": records, "left over": hidden, "revealed": revealed}


def same_end(one, what, model):
    for name, got in ending(one).items():
        one.same(f"{what}, in the end: {name}", got, (model.undisturbed or {}).get(name))


def sweep(model, call, step):
    """Kills at the Nth call in every phase, then resumes; until no phase has so many."""
    for number in count(1, step):
        what = f"killed at {call} {number}"
        kills = one_life(model, f"{model.name}-{call}-{number}", what, partial(killed_at, call=call, number=number))
        if not kills:
            break
    model.owner("sweep").true(f"{model.name}: {call} was found", number > 1, "no run ever makes this call")


def killed_at(one, call, number):
    """Whether it was killed. strace ends as its child does."""
    inject = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    argv = [*inject, str(one.dkimkit.path), "rotate", *map(str, one.rotate_args()), "--keys", str(one.store), "--now", str(one.now)]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    return done.returncode == -9


def killed_after(one, seconds):
    child = one.dkimkit.start("rotate", *one.rotate_args(), "--keys", one.store, "--now", one.now)
    time.sleep(seconds)
    child.kill()
    child.communicate()
    return child.returncode == -9


def one_life(model, label, what, kill):
    """A whole rotation with a kill in every phase; how many there were."""
    one = model.begin(label)
    kills = 0
    for number, phase in enumerate(model.phases):
        word = phase(one)
        before = one.active()
        if kill(one):
            kills += 1
            safe(one, f"{what}, phase {number}")
            one.true(f"{what}, phase {number}: who signs", one.active() in (before, other(one, before)), f"{one.active()} after {before}")
            finish(one, word)
            safe(one, f"{what}, phase {number}, resumed", resolver=False)
        else:
            finish(one, word)
    if kills:
        same_end(one, what, model)
        secrets = {path.name: path.read_text() for path in one.revealed.iterdir()}
        one.true(f"{what}: the secret", all(text == one.private(name.split(".")[0]) for name, text in secrets.items()), "another key")
    return kills


def other(one, before):
    return sorted(set(one.states()) - set(before))


def safe(one, what, resolver=True):
    """The store can be read, and mail that is signed now passes wherever it is verified."""
    done = one.run("keys list", "--json")
    one.same(f"{what}: keys list", done.returncode, 0)
    mail = one.mail()
    if resolver:
        one.forget()
    for server in (*one.servers, *(["resolver"] if resolver else [])):
        got = one.verified(mail, server)
        one.true(f"{what}: by {server}", len(got) == 1 and set(got.values()) == {"pass"}, f"{got}")


def delays(model):
    """Killed by the clock: from at once to the time that a whole run takes."""
    model.learn()
    one = model.begin("timing")
    began = time.monotonic()
    one.rotate()
    whole = time.monotonic() - began
    for number in range(DELAYS):
        seconds = whole * number / DELAYS
        one_life(model, f"after-{number}", f"killed after {seconds:.3f} s", partial(killed_after, seconds=seconds))


def hail(model):
    """One rotation that is killed again and again, each time a call later, without a quiet run between."""
    one = model.begin("hail")
    for phase in model.phases:
        word = phase(one)
        for number in count(1):
            if number > 40:
                one.true("the hail ends", False)
                break
            if not killed_at(one, "fsync", number):
                break
            safe(one, f"hail, {number}", resolver=False)
        finish(one, word)
    same_end(one, "after a hail", model)


def no_pause(one, *options):
    """Mail is signed and verified without a pause while two rotations run."""
    one.options = options
    one.generate("-s", "k1", "--algorithm", "ed25519")
    one.edit(lambda text: re.sub(r"\d{4}-\S+", "2027-01-01T00:00:00Z", text))
    one.publish()
    one.follow()
    over = threading.Event()
    # The clock leaps over days in no time: no message is under way then, as none is for days.
    under_way = threading.Lock()
    sent = []

    def send():
        while not over.is_set():
            with under_way:
                mail = one.mail()
                sent.append([(server, one.verified(mail, server)) for server in one.servers])
            # So that who waits gets the lock.
            time.sleep(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(2):
            for wait, word in ((0, "wait-for-caches"), (HOUR, "wait-for-overlap"), (OVERLAP, "wait-for-age")):
                with under_way:
                    one.now += wait
                finish(one, word)
            with under_way:
                one.now += 30 * DAY
    finally:
        over.set()
        sender.join()
    failed = [(server, got) for one_mail in sent for server, got in one_mail if len(got) != 1 or set(got.values()) != {"pass"}]
    signers = {selector for one_mail in sent for _, got in one_mail for selector in got}
    one.true(f"{len(sent)} messages while it rotates", len(sent) > 5 and not failed, f"{failed[:3]}")
    one.true("by several keys", len(signers) == (2 if options else 3), f"{signers}")


def two_at_once(one):
    """One process rotates a domain, and lets others in while it waits."""
    one.generate("-s", "first", "--algorithm", "ed25519")
    one.publish()
    one.follow()
    # It waits for caches, and keeps the lock.
    first = one.dkimkit.start("rotate", *one.rotate_args("--wait", "60s"), "--keys", one.store, "--now", one.now)
    try:
        for _ in range(100):
            if "pending" in one.states().values():
                break
            time.sleep(0.1)
        time.sleep(0.3)
        turn = one.rotate()
        one.same("the second waits, too", (turn.code, one.active()), (75, ["first"]))
        one.same("a dry run may look", one.rotate("--dry-run").code, 0)
        safe(one, "while one rotates")
    finally:
        first.kill()
        first.communicate()
    # When the first is dead, the next goes on.
    finish(one, "wait-for-caches")
    one.now += HOUR
    finish(one, "wait-for-overlap")
    one.now += OVERLAP
    finish(one, "wait-for-age")
    one.now += 30 * DAY
    children = [one.dkimkit.start("rotate", *one.rotate_args(), "--keys", one.store, "--now", one.now) for _ in range(6)]
    said = [(child.communicate(timeout=60), child.returncode) for child in children]
    one.same("six at once", {code for _, code in said}, {75})
    one.same("one key was made", sorted(one.states().values()), ["active", "pending", "revoked"])
    one.true("one at least was told to come again", any(b"another process" in streams[1] for streams, _ in said))
    safe(one, "after six at once")
