"""The laboratory shows, with dig and delv, that it is what it says."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import check
from bind import joined, must, wait_until
from lab import dig, serial
from servers import ADDRESSES

REAL = ("primary", "secondary", "nsd")


def run(names, report):
    for part in (words, serving, faulty_servers, resolving, correct_records, names_and_texts, lag, cache, truncation, updates, signed_updates):
        report.group(part.__doc__)
        part(names, report)


def words(names, report):
    """every word has a zone"""
    expected = {finding for zone in names.zones for finding in zone.findings}
    known = {(severity, word) for severity, some in check.WORDS.items() for word in some}
    report.same("words without a zone", sorted(known - expected), [])
    report.same("zones with an unknown word", sorted(expected - known), [])


def serving(names, report):
    """each server answers for its zones with authority"""
    changed = {zone.name for zone in names.zones if any(" NS " in update for update in zone.updates)}
    pairs = [(server, zone) for zone in names.zones for server in REAL if zone.is_at(server) and zone.name not in changed]
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = pool.map(lambda pair: dig(pair[0], pair[1].origin, "NS"), pairs)
        for (server, zone), answer in zip(pairs, answers):
            hosts = {f"{server}.ns.test." for server in zone.servers + zone.named}
            report.same(f"{zone.origin} at {server}", (answer.status, "aa" in answer.flags, set(answer.data("NS"))), ("NOERROR", True, hosts))
    report.same("a zone that nobody has", dig("root", "zone-missing.test", "SOA").status, "NXDOMAIN")


def faulty_servers(_, report):
    """lame, silent and closed servers"""
    report.same("lame", dig("lame", "server-not-authoritative.test", "SOA").status, "REFUSED")
    report.same("lame over TCP", dig("lame", "server-not-authoritative.test", "SOA", "+tcp").status, "REFUSED")
    answer = dig("root", "mail._domainkey.server-refers.test", "TXT")
    report.same("a referral", (answer.status, "aa" in answer.flags, answer.records), ("NOERROR", False, []))
    for server, says in (("silent", "timed out"), ("closed", "connection refused")):
        for transport in ("+notcp", "+tcp"):
            answer = dig(server, "server-unreachable.test", "SOA", transport, "+time=1")
            report.true(f"{server} {transport}", answer.status is None and says in answer.text, answer.text)


def resolving(names, report):
    """the resolver finds and validates each zone"""
    zones = [zone for zone in names.zones if zone.servers]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for zone, problem in zip(zones, pool.map(resolving_problem, zones)):
            report.add(zone.origin, problem)
    report.same("a zone that nobody has", dig("resolver", "zone-missing.test", "SOA").status, "NXDOMAIN")
    for zone, says in (("secure", "; fully validated"), ("dnssec-bogus", "resolution failed"), ("rsa2048", "; unsigned answer")):
        argv = ["delv", f"@{ADDRESSES['resolver']}", "-a", str(names.place / "zones/anchors.conf"), f"mail._domainkey.{zone}.test", "TXT"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        report.true(f"delv {zone}", says in done.stdout + done.stderr, done.stdout + done.stderr)


def resolving_problem(zone):
    """None if the resolver answers as the `dnssec` of the zone says, and bogus data with CD."""
    # SOA would do, but the signature that is spoilt is the one over the record.
    name, kind = (zone.record_name, "TXT") if zone.sign != "no" and zone.selector in zone.records else (zone.origin, "SOA")
    answer = dig("resolver", name, kind, "+time=10")
    got = (answer.status, "ad" in answer.flags)
    want = {"secure": ("NOERROR", True), "insecure": ("NOERROR", False), "bogus": ("SERVFAIL", False), "unknown": ("NOERROR", False)}[zone.dnssec]
    if zone.name == "record-missing-secure":
        got, want = (dig("resolver", zone.record_name).status, *got), ("NXDOMAIN", *want)
    if got != want:
        return f"{got} instead of {want}"
    unchecked = dig("resolver", name, kind, "+cdflag", "+dnssec", "+time=10")
    if unchecked.status != "NOERROR" or not unchecked.data(kind):
        return f"with CD, {unchecked.status}"
    return None


def correct_records(names, report):
    """correct zones hold the key that they are compared with"""
    for zone in names.zones:
        if zone.expect == {("ok",)}:
            text = joined(dig("resolver", zone.record_name))
            public = must("openssl", "pkey", "-in", names.key(zone.key), "-pubout")
            key = "".join(line for line in public.splitlines() if not line.startswith("-"))
            # RFC 8463: the 32 bytes alone, without the 12 before them, which are 16 characters.
            key = key[16:] if zone.key == "ed25519" else key
            published = (re.findall(r"p=([^; ]*)", text[0]) or [None])[0] if len(text) == 1 else text
            report.same(zone.origin, published, key)


def names_and_texts(_, report):
    """names and texts are as their zones say"""
    doubled = "mail._domainkey.name-doubled.test"
    report.same("not at the name", dig("nsd", doubled).status, "NXDOMAIN")
    report.same("at the doubled name", len(dig("nsd", f"{doubled}.name-doubled.test").data("TXT")), 1)
    for name in ("mail._domainkey", "any.name"):
        report.same(f"wildcard {name}", joined(dig("primary", f"{name}.wildcard-record.test")), ["v=spf1 -all"])
    for zone in ("cname-to-nowhere", "cname-to-no-zone"):
        answer = dig("resolver", f"mail._domainkey.{zone}.test")
        report.same(zone, (answer.status, len(answer.data("CNAME"))), ("NXDOMAIN", 1))
    report.same("loop", dig("resolver", "mail._domainkey.cname-loop.test").data("TXT"), [])
    report.same("several", len(dig("resolver", "mail._domainkey.several-records.test").data("TXT")), 2)
    report.true("quotes", joined(dig("nsd", "mail._domainkey.quotes-in-record.test"))[0].startswith('"v=DKIM1'))
    report.true("backslash", joined(dig("primary", "mail._domainkey.backslash-in-record.test"))[0].startswith("v=DKIM1\\;"))
    for zone, ttl in (("ttl-long", 604800), ("ttl-short", 30), ("ttl-day", 86400)):
        record = dig("primary", f"mail._domainkey.{zone}.test").records[0]
        report.same(zone, record[1], ttl)


def lag(names, report):
    """the secondary lags, and catches up when told to"""
    for zone in ("server-out-of-step", "server-with-old-key"):
        name = f"mail._domainkey.{zone}.test"
        report.true(zone, joined(dig("primary", name)) != joined(dig("secondary", name)), "in step")
    name = "next._domainkey.lagging.test"
    names.update("lagging", 'add next._domainkey 300 TXT "v=DKIM1; p="')
    report.same("primary has the update", joined(dig("primary", name)), ["v=DKIM1; p="])
    report.same("secondary has not", dig("secondary", name).status, "NXDOMAIN")
    report.true("the serials differ", serial("primary", "lagging.test") > serial("secondary", "lagging.test"))
    names.catch_up("lagging")
    report.same("secondary has caught up", joined(dig("secondary", name)), ["v=DKIM1; p="])


def cache(names, report):
    """the resolver remembers, and forgets when told to"""
    new = joined(dig("primary", "mail._domainkey.resolver-out-of-step.test"))
    old = joined(dig("resolver", "mail._domainkey.resolver-out-of-step.test"))
    report.true("an old record", len(old) == 1 and old != new, f"{old} {new}")
    report.same("nsd is in step", joined(dig("nsd", "mail._domainkey.resolver-out-of-step.test")), new)
    report.same("an old absence", dig("resolver", "mail._domainkey.resolver-knows-nothing.test").status, "NXDOMAIN")
    dig("resolver", "cached._domainkey.live.test")
    names.update("live", 'add cached._domainkey 300 TXT "here"')
    report.same("before the flush", dig("resolver", "cached._domainkey.live.test").status, "NXDOMAIN")
    names.flush()
    report.same("after the flush", joined(dig("resolver", "cached._domainkey.live.test")), ["here"])


def truncation(_, report):
    """the relay truncates and refuses TCP; nsd truncates and answers over TCP"""
    for server, zone in (("relay", "truncated-without-tcp"), ("nsd", "rsa4096")):
        name = f"big._domainkey.{zone}.test"
        cut = dig(server, name, "TXT", "+ignore", "+bufsize=1232")
        report.same(f"{server} over UDP", (cut.status, "tc" in cut.flags, cut.records), ("NOERROR", True, []))
        report.true(f"{server} answers with authority", "aa" in cut.flags)
    whole = dig("nsd", "big._domainkey.rsa4096.test", "TXT", "+tcp")
    report.same("nsd over TCP", (whole.status, len(whole.data("TXT"))), ("NOERROR", 1))
    refused = dig("relay", "big._domainkey.truncated-without-tcp.test", "TXT", "+tcp")
    report.true("relay over TCP", refused.status is None and "connection refused" in refused.text, refused.text)
    small = dig("relay", "mail._domainkey.tcp-unanswered.test", "TXT", "+ignore")
    report.same("relay, a record that fits", ("tc" in small.flags, len(small.data("TXT"))), (False, 1))
    plain = dig("primary", "big._domainkey.rsa4096.test", "TXT", "+ignore", "+noedns")
    report.true("primary without EDNS", "tc" in plain.flags)
    edns = dig("primary", "big._domainkey.rsa4096.test", "TXT", "+ignore", "+bufsize=1232")
    report.same("primary with EDNS", ("tc" in edns.flags, len(edns.data("TXT"))), (False, 1))


def updates(names, report):
    """updates need the key, and a dynamic zone"""
    add = 'add tsig._domainkey 300 TXT "here"'
    for key, says in ((None, "REFUSED"), ("wrong", "BADSIG"), ("stranger", "BADKEY")):
        done, text = names.nsupdate("live", add, key=key)
        report.true(f"{key or 'no'} key", not done and says in text, text or "taken")
    report.same("nothing was added", dig("primary", "tsig._domainkey.live.test").status, "NXDOMAIN")
    done, text = names.nsupdate("rsa2048", add)
    report.true("a zone that is not dynamic", not done and "REFUSED" in text, text or "taken")
    names.update("live", add)
    for server in ("primary", "nsd"):
        report.same(f"added at {server}", joined(dig(server, "tsig._domainkey.live.test")), ["here"])
    names.update("live", "delete tsig._domainkey TXT")
    for server in ("primary", "nsd"):
        report.same(f"deleted at {server}", dig(server, "tsig._domainkey.live.test").status, "NXDOMAIN")


def signed_updates(names, report):
    """an update of a signed zone is signed"""
    names.update("live-signed", 'add new._domainkey 300 TXT "here"')
    for server in ("primary", "nsd"):
        wait_until(f"{server} has the signature", lambda: dig(server, "new._domainkey.live-signed.test", "TXT", "+dnssec").data("RRSIG"))
    answer = dig("resolver", "new._domainkey.live-signed.test")
    report.same("the resolver validates it", (joined(answer), "ad" in answer.flags), (["here"], True))
