"""Sessions and sizes: several messages over one connection, aborted ones, many recipients, large bodies."""

from inbound import deliver, signed, verdicts
from messages import lines, plain
from outbound import signers

LARGE = 50_000_000
SMOKE = 5_000_000


def run(lab, report):
    report.group("sessions")
    several(lab, report)
    pipelined(lab, report)
    aborted(lab, report)
    recipients(lab, report)
    report.group("sizes")
    large(lab, report)
    lab.verifiers.settle()


def check(lab, report, what, recipient, signed_for=True):
    mail = lab.sinks["sink"].wait(recipient, seconds=60)
    if not mail:
        report.add(what, "it did not arrive")
        return
    report.true(f"{what}: signed or not", bool(signers(mail)) == signed_for, signers(mail))
    lab.verifiers.expect(report, what, mail.raw, "pass" if signed_for else "none", len(signers(mail)))


def several(lab, report):
    """What one message is must not rub off on the next: ours and foreign ones in turn."""
    sent = []
    with lab.submission("anna") as smtp:
        for number in range(8):
            author = "anna@example.com" if number % 2 == 0 else "anna@elsewhere.test"
            recipient = lab.fresh("turn")
            reply = smtp.send("anna@example.com", [recipient], plain(recipient, author, body=lines(number * 50, 60)))
            report.true(f"message {number}", reply.startswith("250"), reply)
            sent.append((recipient, number % 2 == 0))
    for number, (recipient, ours) in enumerate(sent):
        check(lab, report, f"message {number} of a session", recipient, ours)


def pipelined(lab, report):
    """All commands of an envelope at once, and the next envelope right behind the dot."""
    first, second = lab.fresh("pipe"), lab.fresh("pipe")
    with lab.relay() as smtp:
        envelope = [f"MAIL FROM:<anna@example.com>\r\nRCPT TO:<{one}>\r\nDATA\r\n".encode() for one in (first, second)]
        smtp.write(envelope[0])
        replies = [smtp.reply() for _ in range(3)]
        smtp.write(plain(first) + b".\r\n" + envelope[1])
        replies += [smtp.reply() for _ in range(4)]
        smtp.write(plain(second) + b".\r\nQUIT\r\n")
        replies += [smtp.reply() for _ in range(2)]
    report.same("replies", [reply[:3] for reply in replies], ["250", "250", "354", "250", "250", "250", "354", "250", "221"])
    check(lab, report, "the first", first)
    check(lab, report, "the second", second)


def aborted(lab, report):
    """RSET after MAIL and after RCPT, a refused recipient, a second MAIL, a connection that is cut; then a message."""
    with lab.relay() as smtp:
        smtp.commands("MAIL FROM:<eve@elsewhere.test>", "RSET")
        smtp.commands("MAIL FROM:<eve@elsewhere.test>", f"RCPT TO:<{lab.fresh('never')}>", "RSET")
        smtp.commands("MAIL FROM:<eve@elsewhere.test>", "NOOP", "MAIL FROM:<again@elsewhere.test>", "RCPT TO:<>", "EHLO again.test")
        recipient = lab.fresh("reset")
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
        report.true("after all that", reply.startswith("250"), reply)
        check(lab, report, "after RSET", recipient)
        half = lab.fresh("half")
        smtp.envelope("anna@example.com", [half])
        smtp.command("DATA")
        smtp.write(plain(half, body=lines(2000, 78)))
    recipient = lab.fresh("reset")
    with lab.relay() as smtp:
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
    check(lab, report, "after a connection that was cut", recipient)
    report.same("half a message does not arrive", lab.sinks["sink"].for_recipient(half), [])


def recipients(lab, report):
    """One message for a hundred: signed once, and the same for all."""
    many = [lab.fresh("many") for _ in range(100)]
    with lab.relay() as smtp:
        reply = smtp.send("anna@example.com", many, plain(many[0]))
    mails = [lab.sinks["sink"].wait(recipient) for recipient in many]
    report.true("a hundred recipients", all(mails), reply)
    report.same("each once", [len(lab.sinks["sink"].for_recipient(recipient)) for recipient in many], [1] * 100)
    report.same("with one text", len({mail.raw for mail in mails if mail}), 1)
    check(lab, report, "a hundred recipients", many[0])


def large(lab, report):
    size = LARGE if lab.full else SMOKE
    what = f"{size // 1_000_000} MB"
    for shape, body in (("of lines", lines(size // 80, 78)), ("of newlines", b"\r\n" * (size // 2))):
        recipient = lab.fresh("large")
        message = plain(recipient, body=body)
        with lab.relay() as smtp:
            reply = smtp.send("anna@example.com", [recipient], message)
        report.true(f"{what} {shape}", reply.startswith("250"), reply)
        check(lab, report, f"{what} {shape}", recipient)

    recipient = lab.fresh("large", "mx.test")
    good = signed(lab, plain(recipient, body=lines(size // 80, 78)))
    for outcome, raw in (("pass", good), ("fail", good[:-3] + b"y\r\n")):
        recipient = lab.fresh("large", "mx.test")
        reply, mail = deliver(lab, raw, recipient)
        report.true(f"{what} inbound: {outcome}", mail and set(verdicts(mail) or []) == {outcome}, f"{reply}: {mail and verdicts(mail)}")
