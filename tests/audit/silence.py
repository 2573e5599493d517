"""Servers that do not answer: the audit ends within its budget, says what it could not know, and does not guess."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from auditing import Auditor, shape_problems, spoken
from cases import Case, KNOWN
from layout import TLD

BUDGET = 8
# What it may take to start, to tell, and to wait for its turn on a machine with other work.
MARGIN = 2.5


def run(lab, dkimkit, report):
    report.group("silence")
    auditor = Auditor(lab, dkimkit)
    cases = [case for case in lab.cases if case.group == "silence"]
    with ThreadPoolExecutor(max_workers=len(cases) + 1) as pool:
        for case, problems in zip(cases, pool.map(lambda case: [*problems_of(auditor, case)], cases)):
            report.add(case.name, "; ".join(problems) or None)
    report.add("a domain whose name servers are silent", "; ".join(dark(auditor, lab)) or None)


def problems_of(auditor, case):
    try:
        outcome = auditor.run(case, "--budget", f"{BUDGET}s", timeout=4 * BUDGET)
    except subprocess.TimeoutExpired:
        yield "it does not end"
        return
    yield from time_problems(outcome)
    yield from shape_problems(case, outcome)
    if outcome.answer is None:
        return
    if outcome.words != case.findings:
        yield f"{spoken(outcome.words)} instead of {spoken(case.findings)}"
    for finding in outcome.findings:
        if KNOWN[finding["finding"]][1] == "unknown" and not finding["about"]:
            yield f"{finding['finding']} is about nobody"


def time_problems(outcome):
    if outcome.seconds > BUDGET + MARGIN:
        yield f"{outcome.seconds:.1f} s with a budget of {BUDGET} s"


def dark(auditor, lab):
    """All questions about a domain are unanswered: nothing is missing, nothing is wrong, nothing is known."""
    case = Case("silent", "silence", server="none", args="--ip 55.25.0.25 --no-lists")
    lab.records.of_case.setdefault(case.name, [])
    outcome = auditor.run(case, "--budget", f"{BUDGET}s", timeout=4 * BUDGET)
    yield from time_problems(outcome)
    yield from shape_problems(case, outcome)
    if outcome.answer is None:
        return
    wrong = {(check, word) for check, word in outcome.words if KNOWN[word][1] != "unknown"}
    if wrong:
        yield f"{spoken(wrong)} without any answer"
    for name in ("mx", "spf", "dmarc", "dkim", "tls-rpt", "bimi"):
        if outcome.result(name) != "unknown":
            yield f"{name} is {outcome.result(name)}"
    if not any(f"silent.{TLD}" in finding["about"] for finding in outcome.findings):
        yield "nobody is told which questions had no answer"
