"""Whom the audit talks to, and what it says: nobody who is not named, and nothing that was not asked for."""

import re
import subprocess

from auditing import Auditor
from layout import MAIL, PRIMARY, RESOLVER, WEB
from records import place_of

LISTS = re.compile(r"(bl|domains|back|refusing|closed|everything)\.lists\.test$")


def run(lab, dkimkit, report):
    auditor = Auditor(lab, dkimkit)
    for part in (no_lists, no_relaying, no_others):
        report.group(part.__doc__)
        part(lab, auditor, report)


def no_lists(lab, auditor, report):
    """--no-lists asks no list"""
    case = lab.case("right")
    for options, asked in (((), True), (("--no-lists",), False)):
        lab.forget("lists.test")
        before = len(lab.questions())
        outcome = auditor.run(case, *options)
        names = sorted({name for name, _ in lab.questions()[before:] if LISTS.search(name)})
        report.true(f"an audit {' '.join(options)}", outcome.code == 0, outcome.complaint())
        report.true(f"lists {' '.join(options)}", bool(names) == asked, f"{len(names)} questions: {names[:3]}")


def no_relaying(lab, auditor, report):
    """no relaying is tried without --smtp and --i-own-this-server"""
    case = lab.case("recorded")
    fake = lab.fakes["recorded"]
    for options, tried in (((), False), (("--smtp", case.mx), False), (("--smtp", case.mx, "--i-own-this-server"), True)):
        fake.log.clear()
        auditor.run(case, *options)
        recipients = [line for line in fake.log if line.upper().startswith("RCPT")]
        foreign = [line for line in recipients if not re.fullmatch(rf"RCPT TO:<[^@%!\"]*(@{re.escape(case.domain)})?>.*", line, re.IGNORECASE)]
        report.true(f"relaying {' '.join(options)}", bool(foreign) == tried, f"{len(foreign)}: {foreign[:3]}")
        report.true(f"recipients {' '.join(options)}", bool(recipients), fake.log)
        report.true(f"no message {' '.join(options)}", not any(line.upper().startswith(("DATA", "BDAT")) for line in fake.log), fake.log)
    # The same in the words of a real server.
    case = lab.case("right-own-server")
    for options, tried in (((), False), (("--smtp", case.mx, "--i-own-this-server"), True)):
        before = len(lab.right.log())
        case_args, case.args = case.args, ""
        auditor.run(case, *options)
        case.args = case_args
        refused = re.findall(r"reject: RCPT from [^\n]*Relay access denied", lab.right.log()[before:])
        report.true(f"Postfix refuses to relay {' '.join(options)}", bool(refused) == tried, refused)
    report.true("Postfix took no message", "message-id=" not in lab.right.log())


def no_others(lab, auditor, report):
    """connections go to the resolver, and to the mail servers, the web server and the name servers of the domain alone"""
    for name in ("right", "right-own-server", "right-two-exchanges"):
        case = lab.case(name)
        trace = lab.place / f"{name}.trace"
        argv = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", trace, auditor.dkimkit.path, *auditor.arguments(case), "--json"]
        subprocess.run([str(word) for word in argv], capture_output=True, timeout=120, check=False)
        text = trace.read_text(errors="replace")
        found = set(re.findall(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)', text))
        found |= set(re.findall(r'sin6_port=htons\((\d+)\),.*?inet_pton\(AF_INET6, "([^"]+)"', text))
        places = place_of(case).both if case.own else MAIL.both
        allowed = {("53", RESOLVER), ("53", PRIMARY), *(("25", address) for address in places), *(("443", address) for address in WEB.both)}
        # A port of 0 is a question to the kernel about routes; nothing is sent.
        others = sorted(f"{address} {port}" for port, address in found - allowed if port != "0")
        report.same(f"{name}: others", others, [])
        report.true(f"{name}: some", found & allowed, text[-500:])
