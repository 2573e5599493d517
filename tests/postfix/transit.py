"""What happens to mail on its way through Postfix: what is rewritten before the milter and after it, filters, bounces."""

import re

from client import stuffed
from messages import plain
from outbound import signers, tags


def run(lab, report):
    report.group("rewriting")
    before(lab, report)
    after(lab, report)
    missing(lab, report)
    report.group("content filter")
    reinjected(lab, report)
    report.group("bounces")
    bounces(lab, report)
    lab.verifiers.settle()


def leave(lab, report, what, message, port=25, domain="sink.test", sender="anna@example.com"):
    """What leaves of a message from our network; None where it does not, which is reported."""
    recipient = lab.fresh("transit", domain)
    with lab.relay(port) as smtp:
        reply = smtp.send(sender, [recipient], message)
    mail = lab.sinks["sink"].wait(recipient) if reply[0] == "2" else None
    if mail is None:
        report.add(what, f"it did not arrive: {reply}")
    return mail


def before(lab, report):
    """cleanup(8) rewrites before the milter sees anything, so the signature is one over what leaves."""
    cases = [
        ("canonical_maps", 2521, plain("bob@sink.test", "inner@example.com"), b"From: outer@example.com"),
        ("masquerade_domains", 2522, plain("bob@sink.test", "anna@deep.example.com"), b"From: anna@example.com"),
        ("header_checks, REPLACE", 2523, plain("bob@sink.test", subject="old"), b"Subject: new"),
        ("header_checks, PREPEND", 2523, plain("bob@sink.test", more=(b"X-Mark: 1",)), b"X-Before: here"),
        ("header_checks, IGNORE", 2523, plain("bob@sink.test", more=(b"X-Drop: 1", b"Comments: stays")), b"Comments: stays"),
    ]
    for what, port, message, want in cases:
        mail = leave(lab, report, what, message, port)
        if mail:
            report.true(f"{what}: it was done", want in mail.fields() and b"X-Drop" not in mail.raw, mail.fields())
            report.true(f"{what}: signed", signers(mail), "no signature")
            lab.verifiers.expect(report, what, mail.raw, "pass", len(signers(mail)))


def after(lab, report):
    """What is changed by the client that sends, or within what the milter has added, breaks the signature."""
    for what, port, domain, subject in (
        ("smtp_header_checks", 25, "checks.test", "old"),
        ("smtp_generic_maps", 25, "generic.test", "hello"),
        ("milter_header_checks", 2524, "sink.test", "hello"),
    ):
        mail = leave(lab, report, what, plain("bob@sink.test", subject=subject), port, domain)
        if mail:
            lab.verifiers.expect(report, f"{what} breaks it", mail.raw, "fail")
    mail = leave(lab, report, "smtp_header_checks", plain("bob@sink.test", subject="another"), 25, "checks.test")
    if mail:
        lab.verifiers.expect(report, "smtp_header_checks that match nothing", mail.raw, "pass")
    # Lines and 8bit text that Postfix converts as it sends; hard.py has them with the settings that keep them.
    mail = leave(lab, report, "a long line", plain("bob@sink.test", body=b"y" * 2000 + b"\r\n"))
    if mail:
        lab.verifiers.expect(report, "smtp_line_length_limit breaks it", mail.raw, "fail")


def missing(lab, report):
    """Fields that Postfix adds are signed: it does so before the milter."""
    bare = b"Subject: nothing else\r\n\r\nHello.\r\n"
    mail = leave(lab, report, "nothing is added", bare)
    if mail:
        report.same("by default: no author, not signed", (signers(mail), mail.fields("From")), ([], []))
    mail = leave(lab, report, "always_add_missing_headers", bare, 2525)
    if mail:
        names = [len(mail.fields(name)) for name in ("From", "Date", "Message-Id")]
        report.same("always_add_missing_headers adds three", names, [1, 1, 1])
        signed = " ".join(" ".join(tags(field, "h")) for field in mail.fields("DKIM-Signature")).lower()
        added = ("from", "date", "message-id") if lab.ours else ("from", "date")
        report.true("and they are signed", all(name in signed.split(":") for name in added), signed or "not signed")
        lab.verifiers.expect(report, "always_add_missing_headers", mail.raw, "pass", len(signers(mail)))


def reinjected(lab, report):
    """A filter takes the signed message and hands it back: it is signed once, unless the signature is not ours."""
    recipient = lab.fresh("filtered")
    message = plain(recipient)
    with lab.relay(2510) as smtp:
        reply = smtp.send("anna@example.com", [recipient], message)
    first = lab.sinks["filter"].wait(recipient) if reply[0] == "2" else None
    report.true("the filter gets it signed", first and signers(first), reply)
    if not first or not signers(first):
        return
    once = signers(first)
    if not lab.ours:
        return
    cases = [
        ("as it was", first.raw, len(once)),
        ("with a footer, so the signature is broken", first.raw + b"-- \r\nfooter\r\n", 2 * len(once)),
        ("with a forged signature in our name", forged(message), 1 + len(once)),
        ("not signed", message, len(once)),
    ]
    for what, raw, count in cases:
        again = lab.fresh("reinjected")
        with lab.relay(10026) as smtp:
            smtp.envelope("anna@example.com", [again])
            smtp.command("DATA")
            smtp.write(stuffed(raw))
            reply = smtp.reply()
        mail = lab.sinks["sink"].wait(again) if reply[0] == "2" else None
        report.same(f"back {what}: signatures", mail and len(mail.fields("DKIM-Signature")), count)
        if mail:
            lab.verifiers.expect(report, f"back {what}", mail.raw, "pass", count, by=("dkimkit",))


def forged(message):
    field = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=From:To:Subject; bh=" + "A" * 43 + "=; b=" + "B" * 342 + "=="
    return field.encode() + b"\r\n" + message


def bounces(lab, report):
    """Bounces are signed where internal_mail_filter_classes names them; by default they pass by the milter."""
    for classes, want in (("", []), ("bounce", [("submit.test", "rsa")])):
        lab.submit.set(internal_mail_filter_classes=classes)
        recipient, author = lab.fresh("nobody"), lab.fresh("author")
        lab.sinks["sink"].refuse(recipient, "550 5.1.1 nobody of that name")
        with lab.relay() as smtp:
            reply = smtp.send(author, [recipient], plain(recipient))
        mail = lab.sinks["sink"].wait(author)
        if mail is None:
            report.add("a bounce", f"it did not come: {reply}")
            continue
        what = f"internal_mail_filter_classes = {classes or '(empty)'}"
        report.same(f"{what}: the sender is empty", mail.sender, "")
        report.same(what, signers(mail), want)
        lab.verifiers.expect(report, what, mail.raw, "pass" if want else "none", len(want), by=("dkimkit", "Mail::DKIM", "dkimpy"))
        report.true(f"{what}: it is one", re.search(rb"Content-Type: multipart/report", mail.raw), "it is not")
