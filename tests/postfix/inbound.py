"""Mail that comes in: its Authentication-Results field, those that others have forged, and what is done with it."""

import re

from layout import AUTHSERV_ID
from messages import plain

# Fields that claim to be ours; the one of each that begins a line is for a reader of any kind.
FORGED = {
    "as we write it": b"Authentication-Results: mx.test; dkim=pass header.d=bank.test",
    "in capitals": b"AUTHENTICATION-RESULTS: MX.TEST; dkim=pass header.d=bank.test",
    "in small letters": b"authentication-results: mx.test; dkim=pass header.d=bank.test",
    "no blank behind the colon": b"Authentication-Results:mx.test; dkim=pass header.d=bank.test",
    "a tab behind the colon": b"Authentication-Results:\tmx.test; dkim=pass header.d=bank.test",
    "a blank before the colon": b"Authentication-Results : mx.test; dkim=pass header.d=bank.test",
    "blanks before the colon": b"authentication-results \t : mx.test; dkim=pass header.d=bank.test",
    "folded before the id": b"Authentication-Results:\r\n mx.test; dkim=pass header.d=bank.test",
    "folded twice before the id": b"Authentication-Results:\r\n \r\n\tmx.test; dkim=pass header.d=bank.test",
    "folded behind the id": b"Authentication-Results: mx.test\r\n ;\r\n dkim=pass header.d=bank.test",
    "a comment before the id": b"Authentication-Results: (a comment) mx.test; dkim=pass header.d=bank.test",
    "nested comments": b"Authentication-Results: (a (nested \\) one) here)\r\n (two)mx.test(three); dkim=pass header.d=bank.test",
    "a version": b"Authentication-Results: mx.test 1; dkim=pass header.d=bank.test",
    "a version in a comment": b"Authentication-Results: mx.test (x) 1 (y) ; dkim=pass header.d=bank.test",
    "a quoted id": b'Authentication-Results: "mx.test"; dkim=pass header.d=bank.test',
    "a quoted id with escapes": b'Authentication-Results: "m\\x.test"; dkim=pass header.d=bank.test',
    "a final dot": b"Authentication-Results: mx.test.; dkim=pass header.d=bank.test",
    "no result": b"Authentication-Results: mx.test; none",
    "no semicolon": b"Authentication-Results: mx.test",
    "another of our names": b"Authentication-Results: also.mx.test; dkim=pass header.d=bank.test",
}
# Fields of others, which are to stay as they are.
OTHERS = [
    b"Authentication-Results: other.test; spf=pass smtp.mailfrom=a.test",
    b"Authentication-Results: notmx.test; dkim=pass header.d=a.test",
    b"Authentication-Results: mx.test.other.test; dkim=fail header.d=a.test",
    b"Authentication-Results: (mx.test) other.test;\r\n\tdkim=pass (mx.test) header.d=a.test",
    b"authentication-results:other.test 1; none",
    b"X-Authentication-Results: mx.test; dkim=pass",
    b"ARC-Authentication-Results: i=1; mx.test; dkim=pass",
    b"Authentication-Results: ; dkim=pass",
    b"Authentication-Results: sub.mx.test; dkim=pass",
]


def run(lab, report):
    report.group("inbound")
    results(lab, report)
    forged(lab, report)
    several(lab, report)
    report.group("actions")
    actions(lab, report)
    lab.verifiers.settle()


def signed(lab, message, *options):
    """The message with the signatures that `dkimkit sign` makes."""
    done = lab.dkimkit.run("sign", "--keys", lab.keys, *options, input=message)
    if done.returncode != 0:
        raise SystemExit(f"sign: {done.stderr.decode(errors='replace')}")
    return done.stdout


def deliver(lab, message, recipient, port=25, sender="anna@example.com", options=""):
    """Sends it to the receiving Postfix: the reply, and what comes out behind it."""
    with lab.incoming(port) as smtp:
        reply = smtp.send(sender, [recipient], message, options)
    return reply, lab.sinks["inbox"].wait(recipient) if reply[0] == "2" else None


def own(mail):
    """The Authentication-Results fields with our id, unfolded."""
    fields = [re.sub(rb"\r\n(?=[ \t])", b"", field).decode("utf-8", "replace") for field in mail.fields("Authentication-Results")]
    return [field for field in fields if re.match(rf"(?i)authentication-results[ \t]*:\s*{re.escape(AUTHSERV_ID)}\.?\s*(1\s*)?(;|$)", field)]


def verdicts(mail):
    """The result of each signature in the one field that is ours; None unless there is exactly one."""
    ours = own(mail)
    return re.findall(r"\bdkim=(\w+)", ours[0]) if len(ours) == 1 else None


def results(lab, report):
    """One field with our id, and the right word in it."""
    recipient = lab.fresh("in", "mx.test")
    message = signed(lab, plain(recipient))
    count = len(re.findall(rb"(?m)^DKIM-Signature:", message))
    cases = [
        ("signed", message, ["pass"] * count),
        ("another body", message.replace(b"Hello.", b"Hullo."), ["fail"] * count),
        ("another subject", message.replace(b"Subject: hello", b"Subject: hallo"), ["fail"] * count),
        ("a second From", b"From: eve@bank.test\r\n" + message, None),
        ("not signed", plain(recipient), ["none"]),
        ("no key", signed(lab, plain(recipient, "x@example.org")).replace(b"s=rsa", b"s=nokey"), None),
    ]
    for what, raw, want in cases:
        target = lab.fresh("in", "mx.test")
        reply, mail = deliver(lab, raw, target)
        if not mail:
            report.add(what, f"it did not arrive: {reply}")
            continue
        got = verdicts(mail)
        if want is None:
            report.true(what, got and "pass" not in got, f"{got}: {own(mail)}")
        else:
            report.same(what, got, want)
        report.true(f"{what}: the message is as it was", mail.raw.endswith(raw), "something has changed")
        report.true(f"{what}: the field stands on top", first_of(mail, b"authentication-results") < first_of(mail, b"received"), "Received stands above it")


def first_of(mail, name):
    names = [field.partition(b":")[0].strip().lower() for field in mail.fields()]
    return names.index(name) if name in names else len(names)


def forged(lab, report):
    """Each spelling alone, between fields of others, all of them with a signature that holds."""
    for what, field in FORGED.items():
        recipient = lab.fresh("forged", "mx.test")
        message = plain(recipient, more=(OTHERS[0], field, OTHERS[1]))
        reply, mail = deliver(lab, signed(lab, message), recipient)
        if not mail:
            report.add(what, f"it did not arrive: {reply}")
            continue
        report.true(f"forged, {what}", b"bank.test" not in mail.raw and len(own(mail)) == 1, b" | ".join(mail.fields("Authentication-Results")))
        report.same(f"forged, {what}: the others'", foreign(mail), OTHERS[:2])


def several(lab, report):
    """All of them in one message, mixed with fields of others, which stay byte for byte, in order."""
    fields = []
    for number, field in enumerate(FORGED.values()):
        fields += [field, OTHERS[number % len(OTHERS)]]
    recipient = lab.fresh("forged", "mx.test")
    reply, mail = deliver(lab, plain(recipient, more=fields), recipient)
    if not mail:
        report.add("all at once", f"it did not arrive: {reply}")
        return
    report.same("all at once: ours", len(own(mail)), 1)
    report.true("all at once: none is left", b"bank.test" not in mail.raw, [field for field in mail.fields() if b"bank.test" in field])
    want = [field for field in fields if field in OTHERS]
    report.same("all at once: the others'", foreign(mail), want)
    recipient = lab.fresh("forged", "mx.test")
    only = plain(recipient, more=[FORGED["as we write it"]] * 30)
    reply, mail = deliver(lab, only, recipient)
    report.true("thirty alike", mail and len(own(mail)) == 1 and b"bank.test" not in mail.raw, reply)


def foreign(mail):
    return [field for field in mail.fields() if field in OTHERS]


def actions(lab, report):
    """[verifying.actions], at the port of the judge: fail is rejected, temperror tried later, none quarantined."""
    recipient = lab.fresh("judged", "mx.test")
    good = signed(lab, plain(recipient))
    reply, mail = deliver(lab, good, recipient, 2501)
    report.true("pass is accepted", mail and "pass" in (verdicts(mail) or []), reply)

    recipient = lab.fresh("judged", "mx.test")
    reply, _ = deliver(lab, good.replace(b"Hello.", b"Hullo."), recipient, 2501)
    report.true("fail is rejected", reply.startswith("5"), reply)

    recipient = lab.fresh("judged", "mx.test")
    for fault in ("servfail", "silent"):
        name = f"{fault}._domainkey.example.com"
        lab.dns.fault(name, fault)
        late = re.sub(rb"s=(rsa|ed)\b", f"s={fault}".encode(), good)
        reply, _ = deliver(lab, late, recipient, 2501)
        report.true(f"{fault} is tried later", reply.startswith("4"), reply)
        report.true(f"{fault}: it was asked for", name in lab.dns.asked, "it was not")

    recipient = lab.fresh("judged", "mx.test")
    with lab.incoming(2501) as smtp:
        reply = smtp.send("eve@elsewhere.test", [recipient], plain(recipient, "eve@elsewhere.test"))
    held = lab.mx.held(recipient)
    report.true("none is quarantined", reply.startswith("2") and len(held) == 1, f"{reply}, {held}")
    report.same("and not delivered", lab.sinks["inbox"].for_recipient(recipient), [])
    # A negative control: without the actions, all of it comes through.
    for what, raw in (("fail", good.replace(b"Hello.", b"Hullo.")), ("none", plain(recipient, "eve@elsewhere.test"))):
        recipient = lab.fresh("judged", "mx.test")
        reply, mail = deliver(lab, raw, recipient)
        report.true(f"{what} without an action", mail, reply)
