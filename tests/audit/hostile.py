"""Data that is made for the one who reads it: the audit ends in time, asks for little, and prints nothing that a
terminal or a browser obeys."""

import subprocess
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser

from auditing import Auditor, shape_problems

BUDGET = 10
MARGIN = 2.5
# A right domain takes some hundred.
QUESTIONS = 600
# The most that it may say, whatever it is told.
SIZE = 500_000


def run(lab, dkimkit, report):
    report.group("hostile")
    auditor = Auditor(lab, dkimkit)
    usual = Page.of(auditor, lab, lab.case("right"))
    # One after another: the questions of each are counted.
    for case in [case for case in lab.cases if case.group == "hostile"]:
        report.add(f"{case.name}, as JSON", "; ".join(as_json(auditor, lab, case)) or None)
        report.add(f"{case.name}, as text", "; ".join(as_text(auditor, case)) or None)
        report.add(f"{case.name}, as a page", "; ".join(as_page(auditor, lab, case, usual)) or None)


def as_json(auditor, lab, case):
    before = len(lab.questions())
    try:
        outcome = auditor.run(case, "--budget", f"{BUDGET}s", "--smtp", case.mx, "--i-own-this-server", timeout=4 * BUDGET)
    except subprocess.TimeoutExpired:
        yield "it does not end"
        return
    asked = len(lab.questions()) - before
    if asked > QUESTIONS:
        yield f"{asked} questions"
    if outcome.seconds > BUDGET + MARGIN:
        yield f"{outcome.seconds:.1f} s"
    # JSON says how it writes what it has, and is for no terminal: no sign that ends a line or begins a sequence.
    if any(byte < 32 and byte != 10 for byte in outcome.stdout):
        yield "there are control characters in JSON"
    yield from printed(replace(outcome, stdout=b""))
    yield from shape_problems(case, outcome)


def as_text(auditor, case):
    outcome = auditor.run(case, "--budget", f"{BUDGET}s", form=None, timeout=4 * BUDGET)
    yield from printed(outcome)
    if outcome.code not in (0, 1, 75):
        yield outcome.complaint()


def printed(outcome):
    """What of the output would be obeyed, or is too much."""
    for name, data in (("standard output", outcome.stdout), ("standard error", outcome.stderr)):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            yield f"{name}: {error}"
            continue
        odd = {character for character in text if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")}
        if odd:
            yield f"{name} has {sorted(map(repr, odd))}"
        if len(data) > SIZE:
            yield f"{name} has {len(data)} bytes"


def as_page(auditor, lab, case, usual):
    """A page has what each has, such as the script of the program itself, and nothing more that does something."""
    page = Page.of(auditor, lab, case)
    if page.does - usual.does:
        yield f"{sorted(page.does - usual.does)}"
    if page.size > SIZE:
        yield f"{page.size} bytes"


class Page(HTMLParser):
    """Elements and attributes that do something, and scripts."""

    @classmethod
    def of(cls, auditor, lab, case):
        path = lab.place / f"{case.name}.html"
        outcome = auditor.run(case, "--budget", f"{BUDGET}s", "--html", path, form=None, timeout=4 * BUDGET)
        if not path.exists():
            raise SystemExit(f"no page of {case.domain}, {outcome.complaint()}")
        page = cls()
        page.size = path.stat().st_size
        page.feed(path.read_text(encoding="utf-8"))
        page.close()
        return page

    def __init__(self):
        super().__init__()
        self.does = set()
        self.inside = None

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        if tag in ("img", "iframe", "object", "embed", "form", "base", "link", "meta"):
            self.does.add(f"{tag} {attrs}")
        for name, value in attrs:
            leads = name in ("href", "src", "action") and not (value or "").startswith(("https://", "#"))
            if name.startswith("on") or leads or name == "style":
                self.does.add(f"{tag} {name}={value}")

    def handle_data(self, data):
        if self.inside in ("script", "style"):
            self.does.add(f"{self.inside}: {data}")

    def handle_endtag(self, tag):
        self.inside = None
