"""What is known to differ, and the count of what was seen."""

import fnmatch
import re
from typing import NamedTuple

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Cell(NamedTuple):
    """One question of the matrix: `peer` signs or verifies `message`."""

    peer: str
    role: str
    key: str
    canon: str
    message: str

    def __str__(self):
        return f"{self.peer} | {self.role} {self.key} {self.canon} {self.message}"


class Entry:
    """A line of ledger.txt: PEER[@<VERSION] | ROLE KEY CANON MESSAGE | reason | RFC section."""

    def __init__(self, line):
        columns = [column.strip() for column in line.split("|")]
        if len(columns) != 4 or len(columns[1].split()) != 4 or not all(columns):
            raise ValueError(f"ledger: cannot read: {line}")
        self.peer, _, self.below = columns[0].partition("@<")
        self.pattern = columns[1].split()
        self.reason, self.rfc = columns[2:]
        self.line = line
        self.used = False

    def covers(self, cell, versions):
        return (
            self.peer == cell.peer
            and (not self.below or version_key(versions.get(cell.peer, "")) < version_key(self.below))
            and all(fnmatch.fnmatchcase(part, pattern) for part, pattern in zip(cell[1:], self.pattern))
        )


class Ledger:
    def __init__(self, path, versions):
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        self.entries = [Entry(line) for line in lines if line and not line.startswith("#")]
        self.versions = versions

    def find(self, cell):
        for entry in self.entries:
            if entry.covers(cell, self.versions):
                entry.used = True
                return entry
        return None

    def tells_of(self, peer, message):
        """Whether it has a line on how this peer treats this very message, in whatever form."""
        return any(entry.peer == peer and entry.pattern[-1] == message for entry in self.entries)

    def unused(self):
        """Entries that hold for the peers of this run and met no cell."""
        return [
            entry
            for entry in self.entries
            if not entry.used
            and entry.peer in self.versions
            and (not entry.below or version_key(self.versions[entry.peer]) < version_key(entry.below))
        ]


def version_key(version):
    return [int(number) for number in re.findall(r"\d+", version)]


class Report:
    """Counts cells, prints each failure when it is met and a line for each group."""

    def __init__(self, ledger, skips_fail):
        self.ledger = ledger
        self.skips_fail = skips_fail
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.known = 0
        self.group_name = None

    def group(self, name):
        self.close_group()
        self.group_name = name
        self.group_counts = dict.fromkeys(self.counts, 0)

    def close_group(self):
        if self.group_name:
            counts = ", ".join(f"{n} {word}" for word, n in self.group_counts.items() if n or word == PASSED)
            print(f"{self.group_name:<58} {counts}", flush=True)
        self.group_name = None

    def add(self, cell, problem, also=None, ours=False):
        """`problem` is None for a success; `also` is a second cell whose ledger entry counts.

        With a second cell two peers face each other, who may well share a fault: then a
        ledger entry excuses a failure and does not demand it. A problem that is `ours`,
        met before the peer had its say, is never excused.
        """
        entry = self.ledger.find(cell) or (also and self.ledger.find(also))
        if problem and ours:
            self.count(FAILED, f"{cell}: {problem}")
        elif entry and (problem or also):
            self.known += 1
            self.count(SKIPPED)
        elif entry:
            self.count(FAILED, f"{cell} succeeds, but the ledger says: {entry.line}")
        elif problem and problem.startswith("unsupported ") and not self.skips_fail:
            self.count(SKIPPED, f"{cell}: {problem}")
        else:
            self.count(FAILED if problem else PASSED, f"{cell}: {problem}")

    def skip(self, what):
        """Something that this machine cannot ask at all."""
        self.count(FAILED if self.skips_fail else SKIPPED, what)

    def count(self, word, text=""):
        self.counts[word] += 1
        self.group_counts[word] += 1
        if text and word != PASSED:
            print(f"  {word.upper()} {text}", flush=True)

    def finish(self, ledger_is_whole):
        self.close_group()
        stale = self.ledger.unused() if ledger_is_whole else []
        if stale:
            self.group("ledger")
            for entry in stale:
                self.count(FAILED, f"no cell of this run is meant by the ledger entry: {entry.line}")
            self.close_group()
        print(f"of the skipped, {self.known} are known divergences of the ledger")
        print(", ".join(f"{n} {word}" for word, n in self.counts.items()))
        return self.counts[FAILED] == 0
