"""`dkimkit check` of every zone: it must find what the header of the zone names, and nothing else."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from dkimkit import last_line, objects
from servers import ADDRESSES

# The stable words of `check` for which there is a zone.
WORDS = {
    "error": """record-missing different-key several-records not-a-key-record quotes-in-record backslash-in-record incomplete-key
        version-not-first version-wrong malformed-record no-public-key bad-base64 bad-key hash-unusable service-unusable
        key-type-unknown key-too-small key-revoked server-out-of-step server-not-authoritative truncated-without-tcp wildcard-record
        cname-to-nowhere cname-loop zone-missing name-doubled dnssec-bogus known-private-key
        exponent-even close-primes roca small-factor""".split(),
    "warning": """small-key spaces-in-key testing-flag obsolete-tag other-records bare-rsa-key server-unreachable tcp-unanswered
        ttl-long ttl-short resolver-out-of-step exponent-small name-servers-differ""".split(),
}
JOBS = 4


def run(names, dkimkit, report):
    report.group("check")
    zones = [zone for zone in names.zones if zone.expect and (not names.chosen or zone.name in names.chosen)]
    (names.place / "no-keys").mkdir(exist_ok=True)
    anchor = ["--trust-anchor", names.place / "zones/root.key"]
    with ThreadPoolExecutor(max_workers=JOBS) as pool:
        problems = pool.map(lambda zone: check(names, dkimkit, zone, anchor), zones)
        for zone, problem in zip(zones, problems):
            report.add(zone.name, problem)
        # Whoever does not know of the other root leaves it to the resolver, which does.
        few = [zone for zone in zones if zone.sign != "no" or zone.name in ("rsa2048", "record-missing", "cname")]
        problems = pool.map(lambda zone: check(names, dkimkit, zone, []), few)
        for zone, problem in zip(few, problems):
            report.add(f"{zone.name} without a trust anchor", problem)


def check(names, dkimkit, zone, anchor):
    """None, or what is wrong with what `check` says of a zone."""
    key = ["--keys", names.place / "no-keys"] if zone.key == "none" else ["-k", names.key(zone.key)]
    try:
        done = dkimkit.run("check", zone.domain, zone.selector, *key, "--nameserver", ADDRESSES["resolver"], "--json", *anchor, "--timeout", "3s")
    except subprocess.TimeoutExpired:
        return "no end after a minute"
    answers = objects(done)
    if len(answers) != 1 or not answers[0]:
        return f"{len(answers)} lines of JSON, exit {done.returncode}: {last_line(done.stderr)}"
    problems = [*findings_problems(zone, answers[0]), *field_problems(zone, answers[0])]
    code = 1 if any(finding[0] == "error" for finding in zone.findings) else 0
    if done.returncode != code:
        problems.append(f"exit {done.returncode} instead of {code}")
    return "; ".join(problems) or None


def findings_problems(zone, answer):
    # Notes are no noise.
    findings = [finding for finding in answer.get("findings", []) if finding.get("severity") != "note"]
    got = {(finding.get("severity"), finding.get("word")) for finding in findings}
    if got != zone.findings:
        yield f"{spoken(got)} instead of {spoken(zone.findings)}"
    for finding in answer.get("findings", []):
        if not finding.get("message"):
            yield f"{finding.get('word')} has no message"
        if finding.get("severity") != "note" and not finding.get("mend"):
            yield f"{finding.get('word')} has no mend"


def field_problems(zone, answer):
    want = {"domain": zone.domain, "selector": zone.selector, "name": zone.record_name, "dnssec": zone.dnssec}
    # Behind a CNAME and where there is no zone, these depend on what is asked for.
    plain = zone.servers and " CNAME " not in zone.records and not any(" NS " in update for update in zone.updates)
    if plain:
        want["zone"] = zone.origin
        got = {server.get("address", "").removesuffix(":53") for server in answer.get("servers", [])}
        servers = {ADDRESSES[server] for server in zone.servers + zone.named}
        if got != servers:
            yield f"servers {sorted(got)} instead of {sorted(servers)}"
    if not zone.servers:
        del want["dnssec"]
    for name, value in want.items():
        got = answer.get(name)
        if not isinstance(got, str) or got.removesuffix(".").lower() != value:
            yield f"{name} {got!r} instead of {value!r}"


def spoken(findings):
    return ", ".join(sorted(" ".join(map(str, finding)) for finding in findings)) or "nothing"
