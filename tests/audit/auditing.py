"""`dkimkit audit` of a domain of the laboratory, and what it says."""

import time
from dataclasses import dataclass

from dkimkit import last_line, objects
from layout import RESOLVER
from records import fill

CHECKS = """reverse-dns greeting starttls mx spf sender-id dkim domainkeys dmarc arc mta-sts tls-rpt dane bimi dnssec caa block-lists network
    open-relay backscatter role-addresses providers""".split()
# From best to worst.
GRADES = ["pass", "warning", "unknown", "fail"]
EXITS = {"pass": 0, "warning": 0, "unknown": 75, "fail": 1}


@dataclass
class Outcome:
    code: int
    seconds: float
    stdout: bytes
    stderr: bytes
    # The JSON, None where there is none.
    answer: dict

    @property
    def findings(self):
        """Each with the name of its check, in the order in which they are told."""
        return [{**finding, "check": check["check"]} for check in self.answer["checks"] for finding in check["findings"]]

    @property
    def words(self):
        return {(finding["check"], finding["finding"]) for finding in self.findings}

    def result(self, name):
        """The result of a check, None where there is none of that name."""
        return next((check["result"] for check in self.answer["checks"] if check["check"] == name), None)

    def complaint(self):
        return f"exit {self.code}: {last_line(self.stderr)}"


class Auditor:
    def __init__(self, lab, dkimkit):
        self.lab = lab
        self.dkimkit = dkimkit

    def arguments(self, case, *more):
        words = {**self.lab.records.words(case), "lists": str(self.lab.lists), "silent_lists": str(self.lab.silent_lists)}
        own = fill(case.args, words).split()
        given = [*own, *(str(word) for word in more)]
        for selector in case.selectors.replace("none", "").split():
            given += ["--selector", selector]
        defaults = {"--lists": self.lab.lists, "--timeout": "5s", "--helo": "client.other.test", "--ca": self.lab.certificates.ca}
        defaults |= {"--nameserver": RESOLVER, "--trust-anchor": self.lab.zones.place / "root.key"}
        for option, value in defaults.items():
            if option not in given and not (option == "--lists" and "--no-lists" in given):
                given += [option, value]
        return ["audit", case.domain, *given]

    def run(self, case, *more, form="--json", timeout=60):
        started = time.monotonic()
        done = self.dkimkit.run(*self.arguments(case, *more), *([form] if form else []), timeout=timeout)
        answers = objects(done) if form == "--json" else []
        return Outcome(done.returncode, time.monotonic() - started, done.stdout, done.stderr, answers[0] if len(answers) == 1 else None)


def shape_problems(case, outcome):
    """What is wrong with the form of the answer, whatever it says."""
    answer = outcome.answer
    if answer is None:
        yield f"no JSON, {outcome.complaint()}"
        return
    names = [check["check"] for check in answer["checks"]]
    if names != CHECKS:
        yield f"checks {names}"
    if answer["domain"].rstrip(".") != case.domain:
        yield f"domain {answer['domain']}"
    results = [check["result"] for check in answer["checks"]]
    if answer["result"] != worst(results):
        yield f"result {answer['result']} of {results}"
    if outcome.code != EXITS[answer["result"]]:
        yield f"exit {outcome.code} with {answer['result']}"
    for check in answer["checks"]:
        if check["result"] != worst(finding["result"] for finding in check["findings"]):
            yield f"{check['check']} is {check['result']}"
        if not check["sentence"]:
            yield f"{check['check']} has no sentence"
    for finding in outcome.findings:
        for part in ("about", "sentence", "mend"):
            if not finding.get(part):
                yield f"{finding['finding']} has no {part}"
        for record in finding["publish"] + finding["remove"]:
            if set(record) != {"name", "type", "value"}:
                yield f"{finding['finding']}: {record}"


def worst(results):
    return max(results, key=GRADES.index, default="pass")


def spoken(words):
    return ", ".join(sorted("/".join(word) for word in words)) or "nothing"
