"""The laboratory shows, with dig and delv, openssl, curl and an SMTP client, that it is what it says."""

import ipaddress
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import bind
import cases
import layout
import records
from bind import joined
from client import Client
from layout import CLOSED, MAIL, SILENT, WEB
from records import Record, place_of

ELSEWHERE = "somebody@elsewhere.example"


def run(lab, report):
    for part in (words, resolving, changes, addresses, lists, right_mail, greetings, encryption, relaying, recipients, web, silence, updates, mending, complaints):
        report.group(part.__doc__)
        part(lab, report)


def words(lab, report):
    """every word has a case"""
    expected = {word for case in lab.cases for _, word in case.findings}
    # The laboratory has an authority, and always names it.
    report.same("words without a case", sorted(set(cases.KNOWN) - expected - {"no-authorities"}), [])
    for case in lab.cases:
        report.true(f"{case.name} can be mended", not case.mend or case.says, "a mend, and nothing that the audit is to say of it")
    readme = (cases.ROOT / "README.md").read_text(encoding="utf-8")
    table = {(word, check, result) for word, check, result in re.findall(r"^\| `([a-z0-9-]+)` \| ([a-z-]+|\*) \| (fail|warning|unknown) \| ", readme, re.MULTILINE)}
    if table:
        report.same("the README has other words", sorted(table ^ {(word, *of) for word, of in cases.KNOWN.items()}), [])


def resolving(lab, report):
    """the resolver finds and validates each domain"""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for case, answer in zip(lab.cases, pool.map(lambda case: lab.ask(case.domain, "SOA"), lab.cases)):
            want = {"signed": ("NOERROR", True), "wrong-ds": ("SERVFAIL", False)}.get(case.dnssec, ("NOERROR", False))
            report.same(case.domain, (answer.status, "ad" in answer.flags), want)
    report.same("bogus with CD", lab.ask("dnssec-bogus.test", "SOA", "+cdflag").status, "NOERROR")
    report.same("a domain that nobody has", lab.ask("gone.test", "SOA").status, "NXDOMAIN")
    for name, kind, says in (
        ("_25._tcp.mx.right.test", "TLSA", "; fully validated"),
        ("dnssec-unsigned.test", "MX", "; unsigned answer"),
        ("dnssec-bogus.test", "MX", "resolution failed"),
    ):
        argv = ["delv", f"@{layout.RESOLVER}", "-a", str(lab.zones.place / "anchors.conf"), name, kind]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        report.true(f"delv {name}", says in done.stdout + done.stderr, done.stdout + done.stderr)


def changes(lab, report):
    """each domain has what its case says, and what that takes away is gone"""
    named = {(record.name, record.type) for record in lab.records.of_case["right"]}
    questions = []
    for case in lab.cases:
        words = lab.records.words(case)
        for name, kind in {records.parse(f"{' '.join(text.split(None, 2)[:2])} -", case.domain, words)[:2] for _, text in case.changes}:
            questions.append((case, name, kind))
    questions += [(lab.cases[0], name, kind) for name, kind in named]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for (case, name, kind), got in zip(questions, pool.map(lambda question: got_from(*question[1:]), questions)):
            report.same(f"{case.name}: {name} {kind}", got, written(lab, name, kind))


def written(lab, name, kind):
    """What the cases have at a name; where nothing is there, that of a wildcard beside it (RFC 4592)."""
    known = lab.records.all()
    is_there = any(f".{record.name}".endswith(f".{name}") for record in known)
    at = name if is_there else f"*.{name.partition('.')[2]}"
    return sorted(plain(record._replace(name=name)) for record in known if (record.name, record.type) == (at, kind))


def got_from(name, kind):
    answer = bind.dig(layout.PRIMARY, name, kind, "+tcp", "+norecurse")
    if kind != "CNAME" and answer.data("CNAME"):
        # What stands at the end of it is another name's.
        return []
    return sorted(plain(Record(name, kind, text)) for text in (joined_bytes(answer) if kind in ("TXT", "SPF") else answer.data(kind)))


def joined_bytes(answer):
    """The texts as they are on the wire, whatever octets they have."""
    for record in answer.records:
        if record[2] in ("TXT", "SPF"):
            strings = re.findall(r'"((?:[^"\\]|\\.)*)"', record[3])
            yield re.sub(r"\\(\d{3}|.)", lambda match: chr(int(match[1])) if len(match[1]) == 3 else match[1], "".join(strings))


def plain(record):
    """As it can be compared: without regard to case and to the blanks within long data."""
    if record.type in ("TXT", "SPF"):
        return record.value
    head, *rest = record.value.split()
    return f"{head} {' '.join(rest[:-1])}{''.join(rest[-1:])}".lower() if record.type != "TLSA" else "".join(record.value.split()).lower()


def addresses(lab, report):
    """addresses look public and have names"""
    for case in lab.cases:
        for address in place_of(case).both:
            report.true(f"{address} of {case.name}", ipaddress.ip_address(address).is_global)
    for address in MAIL.both:
        report.same(address, lab.ask(f"{layout.reverse(address)}.", "PTR").data("PTR"), ["mx.right.test."])
    origin = lab.ask(f"{layout.listed(MAIL.ip4)}.origin.asn.test.", "TXT")
    report.true("origin", joined(origin)[:1] and joined(origin)[0].startswith("64500 | 55.25.0.0/16"), origin.text)
    origin = lab.ask(f"{layout.listed(MAIL.ip6)}.origin6.asn.test.", "TXT")
    report.true("origin of IPv6", joined(origin)[:1] and joined(origin)[0].startswith("64500 | 2a12:3456::/32"), origin.text)
    hole = place_of(lab.case("address-not-announced"))
    report.same("a hole", lab.ask(f"{layout.listed(hole.ip4)}.origin.asn.test.", "TXT").records, [])


def lists(lab, report):
    """lists list what they say"""
    entry = layout.listed("127.0.0.2")
    for name, status, want in (
        (f"{entry}.bl", "NOERROR", ["127.0.0.2"]),
        (f"{layout.listed('::ffff:127.0.0.2')}.bl", "NOERROR", ["127.0.0.2"]),
        (f"{layout.listed('127.0.0.1')}.bl", "NXDOMAIN", []),
        (f"{entry}.back", "NOERROR", ["127.0.0.2"]),
        ("test.domains", "NOERROR", ["127.0.1.2"]),
        ("invalid.domains", "NXDOMAIN", []),
        (f"{entry}.refusing", "NOERROR", ["127.255.255.254"]),
        (f"{layout.listed(MAIL.ip4)}.refusing", "NOERROR", ["127.255.255.254"]),
        (f"{entry}.closed", "NXDOMAIN", []),
        (f"{layout.listed('127.0.0.1')}.everything", "NOERROR", ["127.0.0.2"]),
        (f"{layout.listed(MAIL.ip4)}.bl", "NXDOMAIN", []),
        ("right.test.domains", "NXDOMAIN", []),
    ):
        answer = lab.ask(f"{name}.lists.test.", "A")
        report.same(name, (answer.status, answer.data("A")), (status, want))


def right_mail(lab, report):
    """a right server is right in everything"""
    for case in (lab.case("right"), lab.case("right-own-server"), lab.case("relay-open"), lab.case("certificate-expired")):
        for address in place_of(case).both:
            host = case.mx if case.own else "mx.right.test"
            with client(address) as smtp:
                report.same(f"{case.name} {address}", (smtp.greeting.split()[:2], smtp.offers[0][4:]), (["220", host], host))
                report.true(f"{case.name} {address} has STARTTLS", any("STARTTLS" in offer for offer in smtp.offers))
    for name in ("right", "right-own-server"):
        for address in place_of(lab.case(name)).both:
            report.same(f"the certificate of {address}", verified(lab, address, lab.case(name).mx), "0 (ok)")


def greetings(lab, report):
    """names in greetings"""
    for name, banner, ehlo in (
        ("greeting-short", "mail", "mail"),
        ("greeting-localhost", "localhost.localdomain", "localhost.localdomain"),
        ("greeting-unresolvable", "gone.greeting-unresolvable.test", "gone.greeting-unresolvable.test"),
        ("greeting-elsewhere", "mta-sts.greeting-elsewhere.test", "mta-sts.greeting-elsewhere.test"),
        ("greeting-names-differ", "out.greeting-names-differ.test", "mx.greeting-names-differ.test"),
    ):
        with client(place_of(lab.case(name)).ip4) as smtp:
            report.same(name, (smtp.greeting.split()[1], smtp.offers[0][4:]), (banner, ehlo))
    for name, start in (("greeting-refused", b"554 "), ("not-smtp", b"SSH-2.0-"), ("hostile-talker", b"220-"), ("hostile-one-line", b"220 ")):
        report.true(name, first_bytes(place_of(lab.case(name)).ip4).startswith(start))


def encryption(lab, report):
    """certificates and STARTTLS"""
    for name, want in (
        ("certificate-expired", "10 (certificate has expired)"),
        ("certificate-not-yet-valid", "9 (certificate is not yet valid)"),
        ("certificate-wrong-name", "62 (hostname mismatch)"),
        ("certificate-untrusted", "18 (self-signed certificate)"),
        ("certificate-expires-soon", "0 (ok)"),
    ):
        case = lab.case(name)
        report.same(name, verified(lab, place_of(case).ip4, case.mx), want)
    soon = ["openssl", "x509", "-noout", "-in", str(lab.certificates.path("expires-soon")), "-checkend"]
    report.true("it expires within a week", subprocess.run([*soon, "604800"], capture_output=True, check=False).returncode == 1)
    with client(place_of(lab.case("starttls-missing")).ip4) as smtp:
        report.true("no STARTTLS", not any("STARTTLS" in offer for offer in smtp.offers))
        report.true("and none without an offer", smtp.command("STARTTLS").startswith("502 "))
    with client(place_of(lab.case("starttls-broken")).ip4) as smtp:
        report.true("STARTTLS is offered", any("STARTTLS" in offer for offer in smtp.offers))
        report.true("and is not to be had", smtp.command("STARTTLS").startswith("454 "))
    with client(place_of(lab.case("starttls-broken-off")).ip4) as smtp:
        report.true("STARTTLS is begun", smtp.command("STARTTLS").startswith("220 "))
    report.true("and broken off", verified(lab, place_of(lab.case("starttls-broken-off")).ip4, "x").startswith("none"))


def relaying(lab, report):
    """open relays relay, each in its own way alone"""
    for name in ("right-own-server", "relay-open", "relay-networks", "relay-own-sender", "relay-percent", "relay-bang", "relay-source-route", "relay-quoted"):
        report.same(name, relayed(lab, lab.case(name)), RELAYED.get(name, set()))


# What each relays.
RELAYED = {
    "relay-open": {"plain", "own sender", "source route", "bang"},
    "relay-networks": {"plain", "own sender", "source route", "bang"},
    "relay-own-sender": {"own sender"},
    "relay-percent": {"percent"},
    "relay-bang": {"bang"},
    "relay-source-route": {"source route"},
    "relay-quoted": {"quoted"},
}


def relayed(lab, case):
    """The ways in which the server takes a recipient of another domain."""
    recipients = {
        "plain": ("somebody@other.example", ELSEWHERE),
        "own sender": (f"anna@{case.domain}", ELSEWHERE),
        "percent": ("somebody@other.example", f"somebody%elsewhere.example@{case.domain}"),
        "bang": ("somebody@other.example", "elsewhere.example!somebody"),
        "source route": ("somebody@other.example", f"@{case.domain}:{ELSEWHERE}"),
        "quoted": ("somebody@other.example", f'"{ELSEWHERE}"@{case.domain}'),
    }
    ways = set()
    with client(place_of(case).ip4) as smtp:
        for way, (sender, recipient) in recipients.items():
            smtp.command("RSET")
            smtp.command(f"MAIL FROM:<{sender}>")
            if smtp.command(f"RCPT TO:<{recipient}>").startswith("250"):
                ways.add(way)
    return ways


def recipients(lab, report):
    """who is taken and who is not"""
    for name, want in (
        ("right-own-server", {"anna": "250", "nobody": "550", "postmaster": "250", "abuse": "250"}),
        ("unknown-recipient-accepted", {"anna": "250", "nobody": "250", "postmaster": "250"}),
        ("recipient-unclear", {"anna": "450", "nobody": "450", "postmaster": "450"}),
        ("postmaster-refused", {"anna": "250", "nobody": "550", "postmaster": "554", "abuse": "250"}),
        ("abuse-refused", {"anna": "250", "nobody": "550", "postmaster": "250", "abuse": "554"}),
    ):
        case = lab.case(name)
        with client(place_of(case).ip4) as smtp:
            smtp.command("MAIL FROM:<somebody@other.example>")
            got = {user: smtp.command(f"RCPT TO:<{user}@{case.domain}>")[:3] for user in want}
        report.same(name, got, want)
    with client(MAIL.ip4) as smtp:
        reply = smtp.send("somebody@other.example", ["anna@right.test"], b"Subject: x\r\n\r\nx\r\n")
    report.true("a message is taken", reply.startswith("250"), reply)
    end = time.monotonic() + 10
    while "to=<anna@right.test>, relay=none" not in lab.right.log() and time.monotonic() < end:
        time.sleep(0.1)
    report.true("and is thrown away", re.search(r"discard\[\d+\].*to=<anna@right.test>", lab.right.log()), lab.right.log()[-500:])


def web(lab, report):
    """policies and what is wrong with them"""
    for name, want in (
        ("right", (0, "200", "text/plain")),
        ("mta-sts-no-policy", (0, "404", "text/plain")),
        ("mta-sts-redirect", (0, "301", "text/plain")),
        ("mta-sts-policy-type", (0, "200", "text/html")),
        ("mta-sts-certificate", (60, "000", "")),
        ("mta-sts-expired", (60, "000", "")),
        ("mta-sts-self-signed", (60, "000", "")),
        ("mta-sts-closed", (7, "000", "")),
        ("mta-sts-silent", (28, "000", "")),
        ("mta-sts-slow", (28, "200", "text/plain")),
    ):
        place = {"mta-sts-closed": CLOSED, "mta-sts-silent": SILENT}.get(name, WEB)
        report.same(name, curl(lab, name, place.ip4)[0], want)
    report.same("IPv6", curl(lab, "right", f"[{WEB.ip6}]")[0], (0, "200", "text/plain"))
    for case in lab.cases:
        if case.policy:
            report.same(case.name, curl(lab, case.name, WEB.ip4)[1].decode(), lab.policy(case))
    report.true("a large one", len(curl(lab, "mta-sts-large", WEB.ip4)[1]) > 1_000_000)


def curl(lab, name, address):
    """((exit code, status, type), body) of the policy of a domain."""
    host = f"mta-sts.{name}.test"
    argv = ["curl", "-sS", "--max-time", "2", "--cacert", lab.certificates.ca, "--resolve", f"{host}:443:{address}"]
    argv += ["-w", "\n%{http_code} %{content_type}", f"https://{host}/.well-known/mta-sts.txt"]
    done = subprocess.run([str(word) for word in argv], capture_output=True, timeout=30, check=False)
    body, _, last = done.stdout.rpartition(b"\n")
    code, _, kind = last.decode().partition(" ")
    return (done.returncode, code, kind), body


def silence(lab, report):
    """who is silent takes what comes and says nothing"""
    for port in (25, 443):
        for address in SILENT.both:
            with socket.create_connection((address, port), timeout=2) as connection:
                connection.settimeout(0.5)
                try:
                    report.same(f"{address} {port}", connection.recv(1), "nothing")
                except TimeoutError:
                    report.add(f"{address} {port}", None)
    for address in CLOSED.both:
        report.true(f"{address} is closed", refuses(address))
    try:
        socket.create_connection(("55.25.200.25", 25), timeout=1).close()
        report.add("packets that are lost", "a connection")
    except TimeoutError:
        report.add("packets that are lost", None)
    started = time.monotonic()
    report.same("a silent name server", lab.ask("spf.silent.test", "TXT", "+time=20").status, "SERVFAIL")
    report.true("is given up soon", time.monotonic() - started < 15)


def refuses(address):
    try:
        socket.create_connection((address, 25), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def updates(lab, report):
    """records change, and the resolver forgets"""
    record = Record("new.right.test.", "TXT", 'a "quoted" \\ text; ' + "x" * 300)
    for verb, want in (("add", [record.value]), ("delete", [])):
        report.same(verb, lab.update([(verb, record)]), (True, ""))
        report.same(f"{verb} is seen", list(joined_bytes(lab.ask(record.name, "TXT"))), want)
    done, problem = lab.update([("add", Record("new.example.", "TXT", "x"))])
    report.true("a zone that nobody has", not done and "no zone" in problem, problem)


def mending(lab, report):
    """zones are signed, delegated, servers set right"""
    for name, mend in (("dnssec-unsigned", lab.sign), ("dnssec-no-ds", lab.delegate), ("dnssec-bogus", lab.delegate)):
        case = lab.case(name)
        report.same(f"{name} is mended", mend(case), (True, ""))
        answer = lab.ask(case.domain, "MX")
        report.same(name, (answer.status, "ad" in answer.flags), ("NOERROR", True))
    for name in ("relay-open", "relay-networks", "relay-own-sender"):
        case = lab.case(name)
        lab.mend_server(case)
        report.same(f"{name} is mended", relayed(lab, case), set())
    case = lab.case("certificate-expired")
    lab.mend_server(case)
    report.same("a new certificate", verified(lab, place_of(case).ip4, case.mx), "0 (ok)")


def complaints(lab, report):
    """Postfix complains of nothing but of the certificate of another key"""
    for name, server in [("right", lab.right), *lab.servers.items()]:
        lines = [line for line in server.troubles() if not (name == "starttls-broken" and "TLS" in line)]
        report.same(name, lines, [])


def client(address):
    """From the address itself, as a stranger."""
    return Client(address, source=address)


def first_bytes(address):
    with socket.create_connection((address, 25), timeout=5) as connection:
        return connection.recv(100)


def verified(lab, address, name):
    """What openssl says of the certificate behind STARTTLS."""
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{layout.bracketed(address)}:25", "-CAfile", str(lab.certificates.ca), "-verify_hostname", name]
    done = subprocess.run(argv, input="QUIT\r\n", capture_output=True, text=True, timeout=30, check=False)
    found = re.findall(r"Verif(?:y return code|ication error)?: (\d+ \([^\n]*\))", done.stdout)
    return found[-1] if found and "BEGIN CERTIFICATE" in done.stdout else f"none: {done.stderr[-200:]}"
