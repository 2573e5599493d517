"""What the scenarios report to: a line a group, a line a failure, and the count."""

import time


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.name = None

    def group(self, name):
        """Begins a group; the line of the one before is printed with its count."""
        self.close_group()
        self.name, self.before, self.since = name, (self.passed, self.failed), time.monotonic()

    def close_group(self):
        if self.name:
            passed, failed = self.passed - self.before[0], self.failed - self.before[1]
            print(f"{self.name}: {passed} passed, {failed} failed, {time.monotonic() - self.since:.1f} s", flush=True)
        self.name = None

    def add(self, what, problem):
        """One thing that was tried; `problem` is None, or what is wrong."""
        if problem:
            self.failed += 1
            print(f"  FAILED {what}: {problem}", flush=True)
        else:
            self.passed += 1

    def same(self, what, got, want):
        self.add(what, None if got == want else f"{got!r} instead of {want!r}")

    def true(self, what, holds, problem="it does not hold"):
        self.add(what, None if holds else problem)

    def finish(self):
        self.close_group()
        print(f"{self.passed} passed, {self.failed} failed")
        return self.failed == 0
