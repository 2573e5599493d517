"""Each domain has exactly the findings that it ought to have; and once what they say is done, they are gone.

What a finding says is done is done from its JSON: the records of `remove` go, those of `publish` come. Where it is not
a matter of records, its words have to name what is to be done, and the case does that.
"""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import bind
import records
from auditing import Auditor, shape_problems, spoken
from cases import KNOWN
from layout import PRIMARY
from records import Record, fill, parse

JOBS = int(os.environ.get("AUDIT_JOBS", "4"))
# Those have scenarios of their own.
ELSEWHERE = ("hostile", "silence")
# The domains of which something got no answer, and how many there may be.
LOST = []
MAX_LOST = 4
# What an audit says then.
UNANSWERED = ("no-answer", "no-connection")


def run(lab, dkimkit, report):
    auditor = Auditor(lab, dkimkit)
    chosen = [case for case in lab.cases if case.name in lab.chosen] if lab.chosen else [case for case in lab.cases if case.group not in ELSEWHERE]
    for group in dict.fromkeys(case.group for case in chosen):
        report.group(group)
        cases = [case for case in chosen if case.group == group]
        with ThreadPoolExecutor(max_workers=JOBS) as pool:
            for case, problems in zip(cases, pool.map(lambda case: tried(auditor, case), cases)):
                report.add(case.name, "; ".join(problems) or None)


def tried(auditor, case):
    try:
        return [*examine(auditor, case)]
    except (subprocess.TimeoutExpired, SystemExit, LookupError, TypeError) as error:
        return [f"{type(error).__name__}: {error}"]


def examine(auditor, case):
    """What is wrong with what the audit says of a case, and with its mends."""
    outcome = audited(auditor, case)
    yield from shape_problems(case, outcome)
    if outcome.answer is None:
        return
    yield from result_problems(outcome)
    yield from together_problems(auditor.lab, outcome)
    if outcome.words != case.findings:
        yield f"{spoken(outcome.words)} instead of {spoken(case.findings)}{told(outcome, outcome.words - case.findings)}"
        return
    if case.result != outcome.answer["result"]:
        yield f"{outcome.answer['result']} instead of {case.result}"
    if case.findings:
        yield from mending_problems(auditor, case, outcome)


def audited(auditor, case):
    """An audit; once more, and that is printed, where something got no answer that should have one: in thousands of
    questions and connections, on a machine with other work, one is lost, and the audit says so, as it should."""
    outcome = auditor.run(case)
    if outcome.answer is None:
        return outcome
    lost = {(check, word) for check, word in outcome.words if word in UNANSWERED} - set(case.findings)
    if not lost:
        return outcome
    LOST.append(case.name)
    # More often than that it is no accident.
    if len(LOST) > MAX_LOST:
        return outcome
    server = auditor.lab.servers.get(case.name)
    said = f"\n{server.log()[-2000:]}" if server else ""
    print(f"  again: {case.name}{told(outcome, lost)}{said}", flush=True)
    return auditor.run(case)


def told(outcome, words):
    """The sentences of findings that nobody expected."""
    sentences = [finding["sentence"] for finding in outcome.findings if (finding["check"], finding["finding"]) in words]
    return "".join(f"\n    {sentence}" for sentence in sentences)


def result_problems(outcome):
    for finding in outcome.findings:
        if finding["result"] != KNOWN[finding["finding"]][1]:
            yield f"{finding['finding']} is {finding['result']}"


def together_problems(lab, outcome):
    """What is to be done at once names what stands there, and what does not."""
    for together in [check["together"] for check in outcome.answer["checks"]]:
        for part, there in (("remove", True), ("publish", False)):
            for record in map(record_of, together[part]):
                if stands(lab, record) != there:
                    yield f"{part} of together: {record} is {'not there' if there else 'there already'}"


def stands(lab, record):
    """Whether the primary has this record, at this name, and not through a wildcard."""
    zone = bind.transfer(PRIMARY, lab.zones.zone_of(record.name, record.type) or ".")
    wanted = (record.name.lower(), record.type, same_data(records.rdata(record.type, record.value)))
    return any((name.lower(), kind, same_data(data)) == wanted for name, _, kind, data in zone)


def same_data(text):
    """The same for all that is the same but for case, blanks, and where a text is cut."""
    return re.sub(r"\s", "", text.replace('" "', "")).lower()


def mending_problems(auditor, case, outcome):
    """Mends one finding after another, as one who reads the report from the top."""
    by_hand = case.mend
    after = {(one.check, one.word) for one in case.after}
    yield from wording_problems(auditor.lab, case, outcome)
    for _ in range(2 * len(outcome.findings)):
        finding = next((one for one in outcome.findings if one["publish"] or one["remove"]), None)
        if finding:
            problem = mend_records(auditor.lab, [one for one in outcome.findings if one["finding"] == finding["finding"]])
        elif by_hand:
            finding, problem, by_hand = outcome.findings[0], mend_by_hand(auditor.lab, case), []
        else:
            break
        if problem:
            yield f"the mend of {finding['finding']}: {problem}"
            return
        before, outcome = outcome, audited(auditor, case)
        if outcome.answer is None:
            yield f"after the mend of {finding['finding']}: {outcome.complaint()}"
            return
        if new := outcome.words - before.words - after:
            yield f"the mend of {finding['finding']} brings {spoken(new)}{told(outcome, new)}"
            return
        if any(same(one, finding) for one in outcome.findings):
            yield f"{finding['finding']} is still there after: {finding['mend']} {finding['remove']} {finding['publish']}"
            return
        if outcome.words <= after:
            return
    # What only a server of a few lines has cannot be mended here.
    if outcome.words != after and (case.mend or not case.fake):
        yield f"not mended: {spoken(outcome.words - after)}"


def wording_problems(lab, case, outcome):
    """Words that do not name what is the matter and what is to be done, where there are no records that do."""
    if not case.says or any(finding["publish"] or finding["remove"] for finding in outcome.findings):
        return
    # For a regular expression: names and addresses stand for themselves.
    says = fill(case.says, {name: re.escape(word) for name, word in lab.records.words(case).items()})
    told = [f"{finding['sentence']}; {finding['mend']}" for finding in outcome.findings]
    if not any(re.search(says, one) for one in told):
        yield f"none says {says}: {told}"


def same(one, other):
    return (one["check"], one["finding"], one["about"]) == (other["check"], other["finding"], other["about"])


def mend_records(lab, alike):
    """Does what the JSON of alike findings says: what is said of each of several servers is done for all of them, but
    what replaces the same record waits for its turn. What was wrong with that, or None."""
    done = []
    for finding in alike:
        removed, published = ([record_of(change) for change in finding[part]] for part in ("remove", "publish"))
        if any(("delete", record) in done for record in removed):
            continue
        # First all that is to go, then all that is to come.
        steps = [("delete", record) for record in removed] + [("add", record) for record in published]
        for step in [step for step in steps if step not in done]:
            problem = changed(lab, *step)
            if problem:
                return problem
            done.append(step)
    return None


def record_of(change):
    return Record(change["name"].lower(), change["type"], change["value"])


def changed(lab, verb, record):
    """Deletes or adds a record that is there, or is not; what was wrong, or None."""
    before = stands(lab, record)
    done, problem = lab.update([(verb, record)])
    if not done:
        return f"{verb} {record}: {problem}"
    if (before, stands(lab, record)) != (verb != "add", verb == "add"):
        return f"{verb} {record} changes nothing"
    return None


def mend_by_hand(lab, case):
    """Does what the case has under `mend`; what went wrong, or None."""
    words = lab.records.words(case)
    if case.name in lab.servers:
        lab.mend_server(case)
    for mend in case.mend:
        verb, _, rest = mend.partition(" ")
        done, problem = True, ""
        if verb in ("set", "del", "add"):
            done, problem = lab.update(changes(verb, rest, case, words))
        elif verb == "web":
            lab.web.serve(case.domain, rest, lab.policy(case, right=True))
        elif verb == "ds":
            done, problem = lab.delegate(case)
        elif verb == "sign":
            done, problem = lab.sign(case)
        if not done:
            return problem
    return None


def changes(verb, rest, case, words):
    name, kind, *value = rest.split(None, 2)
    record = parse(f"{name} {kind} {''.join(value) or '-'}", case.domain, words)
    if verb == "set" or not value:
        yield "delete", record._replace(value="")
    elif verb == "del":
        yield "delete", record
    if verb != "del":
        yield "add", record
