"""Hard mail, both ways: what leaves verifies, and what comes in is judged as it was sent."""

from inbound import own, signed, verdicts
from messages import HARD
from outbound import signers

CUT = 7919


def run(lab, report):
    report.group("hard mail, outbound")
    for hard in HARD:
        outbound(lab, report, hard)
    lab.verifiers.settle()
    report.group("hard mail, inbound")
    for hard in HARD:
        inbound(lab, report, hard)


def outbound(lab, report, hard):
    recipient = lab.fresh(hard.name, hard.domain)
    message = hard.message(recipient)
    with lab.relay() as smtp:
        reply = post(smtp, hard, recipient, message)
    sink = lab.sinks["seven" if hard.domain in ("seven.test", "asis7.test") else "sink"]
    mail = sink.wait(recipient) if reply[0] == "2" else None
    if not mail:
        report.add(hard.name, f"it did not arrive: {reply}")
        return
    report.true(f"{hard.name}: signed", signers(mail), "no signature")
    left = hard.body.replace(*hard.mended) if hard.mended[0] else hard.body
    report.true(f"{hard.name}: the body is as it was", mail.body == left, "it has changed")
    lab.verifiers.expect(report, hard.name, mail.raw, "pass", len(signers(mail)))


def inbound(lab, report, hard):
    """Signed elsewhere; where Postfix mends it on the way in, it fails there, and passes where Postfix is told not to."""
    message = signed(lab, hard.message(lab.fresh(hard.name, "mx.test")))
    cases = [(25, "pass")] if hard.port == 25 else [(25, "fail")] + ([(hard.port, "pass")] if hard.port else [])
    for port, want in cases:
        recipient = lab.fresh(hard.name, "mx.test")
        with lab.incoming(port) as smtp:
            reply = post(smtp, hard, recipient, message)
        mail = lab.sinks["inbox"].wait(recipient) if reply[0] == "2" else None
        if not mail:
            report.add(hard.name, f"it did not arrive: {reply}")
            continue
        said = verdicts(mail)
        report.true(f"{hard.name}, at port {port}: {want}", said and set(said) == {want}, f"{said}: {own(mail)}")


def post(smtp, hard, recipient, message):
    if hard.bdat:
        chunks = [message[at : at + CUT] for at in range(0, len(message), CUT)]
        return smtp.send_chunks("anna@example.com", [recipient], chunks, hard.options)
    return smtp.send("anna@example.com", [recipient], message, hard.options)
