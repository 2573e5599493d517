"""A domain in a zone of the laboratory: its key store, its clock, and all that is done to both from outside."""

import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from dkimkit import last_line, objects
from lab import dig
from selftest import joined
from servers import ADDRESSES

HERE = Path(__file__).parent
# 2027-01-15T08:00:00Z, and from then on what a scenario says.
START = 1_800_000_000
HOUR = 3600
DAY = 24 * HOUR
# So long before its time nothing may happen; no run takes as long.
MARGIN = 30
# What SOA records say of names that are not there, and the TTL of all that is pushed here.
NEGATIVE_TTL = 300
TTL = 60


# What tells the files of revealed keys apart.
FINGERPRINT = re.compile(r"\.[0-9a-f]{8}\.pem$")


class Turn(NamedTuple):
    """One run of `rotate --json`: what it did, and what is left."""

    code: int
    answer: dict
    said: str

    @property
    def did(self):
        return [(step["step"], step["selector"]) for step in self.answer.get("steps", [])]

    @property
    def words(self):
        return [step["step"] for step in self.answer.get("steps", [])]

    @property
    def left(self):
        return [step["step"] for step in self.answer.get("next", [])]

    def until(self, word):
        """When the last of such waits is over; None where nobody waits so."""
        return max((step["until"] for step in self.answer.get("next", []) if step["step"] == word), default=None)


class Owner:
    def __init__(self, names, dkimkit, report, zone, label=None, servers=("primary", "nsd"), resolver="resolver"):
        self.names, self.dkimkit, self.report = names, dkimkit, report
        self.zone, self.label = zone, label
        self.domain = f"{label}.{zone}.test" if label else f"{zone}.test"
        self.servers, self.resolver = servers, resolver
        self.store = names.place / "stores" / self.domain
        self.now = START
        # What the resolver forgets when time has passed.
        self.trees = [f"_domainkey.{self.domain}"]
        # What is added to each `rotate`.
        self.options = []
        self.push = push(names)

    # Verdicts

    def true(self, what, holds, problem="it does not hold"):
        self.report.true(f"{self.domain}: {what}", holds, problem)

    def same(self, what, got, want):
        self.report.same(f"{self.domain}: {what}", got, want)

    # The program

    def run(self, verb, *args, clock=True, **more):
        now = ["--now", self.now] if clock else []
        return self.dkimkit.run(*verb.split(), *args, "--keys", self.store, *now, **more)

    def generate(self, *args):
        done = self.run("generate", "-d", self.domain, *args, clock=False)
        if done.returncode != 0:
            raise SystemExit(f"generate for {self.domain}: {last_line(done.stderr)}")

    def publish(self, *args, push=None):
        return self.run("publish", self.domain, *(self.push if push is None else push), *args, clock=False)

    def check(self, *args):
        """(exit code, what it says of each selector)."""
        anchor = ["--trust-anchor", self.names.place / "zones/root.key"]
        done = self.run("check", self.domain, "--nameserver", ADDRESSES[self.resolver], "--timeout", "3s", "--json", *anchor, *args, clock=False)
        return done.returncode, {one["selector"]: one for one in objects(done) if one}

    def rotate(self, *args, by_hand=False):
        """One run. Its clock goes on while it works, and ours after it."""
        began = time.monotonic()
        turn = self.turn(self.run("rotate", *self.rotate_args(*args, by_hand=by_hand)))
        self.now += int(time.monotonic() - began)
        return turn

    def rotate_args(self, *args, by_hand=False):
        anchor = ["--trust-anchor", self.names.place / "zones/root.key"]
        return [self.domain, "--nameserver", ADDRESSES[self.resolver], *anchor, "--json", *([] if by_hand else self.push), *self.options, *args]

    @staticmethod
    def turn(done):
        answers = objects(done)
        answer = answers[0] if len(answers) == 1 and answers[0] else {}
        return Turn(done.returncode, answer, done.stderr.decode(errors="replace"))

    # Mail

    def mail(self, *args):
        """A signed message; None, and a failure reported, where signing fails."""
        message = f"From: ann@{self.domain}\r\nTo: bob@example.org\r\nSubject: at {self.now}\r\nDate: x\r\nMessage-ID: <{self.now}@{self.domain}>\r\n\r\nhello\r\n"
        done = self.run("sign", *args, input=message.encode())
        if done.returncode != 0 or b"DKIM-Signature:" not in done.stdout:
            self.true("a message is signed", False, f"exit {done.returncode}: {last_line(done.stderr)}")
            return None
        return done.stdout

    def verified(self, mail, server="resolver"):
        """The result of each signature by selector, and why where it is no pass."""
        if mail is None:
            return {}
        done = self.dkimkit.run("verify", "--nameserver", ADDRESSES[server], "--now", self.now, "--json", input=mail)
        answers = objects(done)
        return {one["selector"]: one["reason"] or one["result"] for answer in answers if answer for one in answer["signatures"]}

    def require_passes(self, what, mail, selectors, servers=None):
        """The message has exactly the signatures of these selectors, and each passes at each server."""
        self.forget()
        want = {selector: "pass" for selector in selectors}
        for server in servers or (*self.servers, "resolver"):
            self.same(f"{what}, by {server}", self.verified(mail, server), want)

    def forget(self):
        """Lets the resolver forget what it knows of the keys; months have passed, by our clock."""
        for tree in self.trees:
            self.names.rndc("resolver", "flushtree", tree)

    # What is there

    def keys(self):
        done = self.run("keys list", "--json")
        return {one["selector"]: one for one in objects(done)} if done.returncode == 0 else {}

    def states(self):
        return {selector: one["state"] for selector, one in self.keys().items()}

    def active(self):
        return sorted(selector for selector, state in self.states().items() if state == "active")

    def files(self):
        """All of the store, byte for byte; but not the lock of a rotation, which is empty."""
        return {path.name: path.read_bytes() for path in sorted(self.store.rglob("*")) if path.is_file() and path.name != ".rotation"}

    def unchanged(self, what, files):
        """All of the store is as it was; keys are not shown."""
        now = self.files()
        self.same(what, [name for name in {**files, **now} if files.get(name) != now.get(name)], [])

    def private(self, selector):
        return (self.store / self.domain / f"{selector}.pem").read_text()

    def edit(self, change):
        """Edits the file of states as a person may."""
        path = self.store / self.domain / "selectors"
        path.write_text(change(path.read_text()))

    def name(self, selector):
        """Relative to the zone."""
        return f"{selector}._domainkey" + (f".{self.label}" if self.label else "")

    def published(self, selector, server="primary"):
        return joined(dig(server, f"{selector}._domainkey.{self.domain}"))

    def record(self, selector):
        return self.run("record", "-d", self.domain, "-s", selector, "--format", "value", clock=False).stdout.decode().strip()

    # By hand

    def put(self, selector, *texts, ttl=TTL):
        """Publishes these texts, each a record, in place of what stands at the name."""
        adds = [f"add {self.name(selector)} {ttl} TXT {strings(text)}" for text in texts]
        self.names.update(self.zone, f"delete {self.name(selector)} TXT", *adds)

    def follow(self, zone=None):
        """Waits until nsd has what the primary has."""
        self.names.wait_for_serial("nsd", f"{zone or self.zone}.test")


def push(names, server="primary", key="update", ttl=TTL):
    signed = ["--tsig-key", names.place / f"{key}.key"] if key else []
    return ["--server", ADDRESSES[server], *signed, "--ttl", ttl]


def strings(text):
    """A text as nsupdate reads it: quoted strings of at most 255 bytes, of which every byte is meant."""
    escaped = lambda part: re.sub(r'(["\\])', r"\\\1", part)
    return " ".join(f'"{escaped(text[at : at + 255])}"' for at in range(0, len(text), 255))


def together(report, *tasks, jobs=3):
    """Runs functions side by side. One that ends before its time, as where a step has failed, has failed as a whole."""

    def attempt(task):
        try:
            task()
        except Exception as error:
            own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == HERE]
            report.add(f"line {own[-1].lineno} of {Path(own[-1].filename).name}", f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for future in [pool.submit(attempt, task) for task in tasks]:
            future.result()
