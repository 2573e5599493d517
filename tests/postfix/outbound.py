"""Mail that leaves: what is signed, and what is not."""

import struct

from messages import plain

# The steps "DATA is not wanted" and "DATA is not answered".
DATA_UNANSWERED = 0x200 | 0x10000


def run(lab, report):
    report.group("outbound")
    logged_in(lab, report)
    not_ours(lab, report)
    handed_in(lab, report)
    authors(lab, report)
    through_both(lab, report)
    if lab.ours:
        told(lab, report)
        negotiated(lab, report)
        refusals(lab, report)
    lab.verifiers.settle()


def tags(field, name):
    """The values of a tag in a DKIM-Signature field."""
    text = field.decode("utf-8", "replace").partition(":")[2]
    words = ("".join(part.split()) for part in text.split(";"))
    return [word[len(name) + 1 :] for word in words if word.startswith(f"{name}=")]


def signers(mail):
    """The (d=, s=) of each signature."""
    found = mail.fields("DKIM-Signature")
    return sorted((tags(field, "d")[0].lower(), tags(field, "s")[0]) for field in found)


def both(domain="example.com", lab=None):
    selectors = ["ed", "rsa"] if lab is None or lab.ours else ["rsa"]
    return [(domain, selector) for selector in selectors]


def send(lab, report, what, client, message, recipient, sender="anna@example.com"):
    """Sends it, and returns what leaves; None where something went wrong, which is then reported."""
    with client:
        reply = client.send(sender, [recipient], message)
    mail = lab.sinks["sink"].wait(recipient) if reply[0] == "2" else None
    if mail is None:
        report.add(what, f"it did not arrive: {reply}")
    return mail


def logged_in(lab, report):
    recipient = lab.fresh("login")
    message = plain(recipient)
    mail = send(lab, report, "submission", lab.submission("anna"), message, recipient)
    if not mail:
        return
    report.same("with RSA and Ed25519", signers(mail), both(lab=lab))
    report.true("the message is as it was", mail.raw.endswith(message), "something has changed")
    lab.verifiers.expect(report, "submission", mail.raw, "pass", len(signers(mail)))
    lab.verifiers.expect(report, "another subject", mail.raw.replace(b"Subject: hello", b"Subject: hallo"), "fail")
    lab.verifiers.expect(report, "another body", mail.raw.replace(b"Hello.", b"Hullo."), "fail")

    # A login may use what [sender_login] lists.
    for user, author, want in (
        ("carl", "carl@example.com", both(lab=lab)),
        ("carl", "anna@example.com", []),
        ("anna", "anyone@example.org", [("example.org", "rsa")]),
        ("anna", "carl@example.com", []),
        ("uwe", "anna@example.com", []),
    ):
        if not lab.ours and not want:
            continue
        recipient = lab.fresh("logins")
        mail = send(lab, report, "submission", lab.submission(user), plain(recipient, author), recipient)
        if mail:
            report.same(f"{user} as {author}", signers(mail), want)
            lab.verifiers.expect(report, f"{user} as {author}", mail.raw, "pass" if want else "none", len(want))


def not_ours(lab, report):
    """Who has not logged in, and comes from outside, is not signed for."""
    with lab.submission() as smtp:
        reply = smtp.send("anna@example.com", ["bob@sink.test"], b"")
    report.true("port 587 wants a login", reply.startswith("5"), reply)
    with lab.relay(source="outsider") as smtp:
        reply = smtp.send("anna@example.com", ["bob@sink.test"], b"")
    report.true("no relaying for strangers", reply.startswith("554"), reply)

    recipient = lab.fresh("stranger", "open.test")
    mail = send(lab, report, "from outside", lab.relay(source="outsider"), plain(recipient), recipient)
    if mail:
        report.same("from outside, in our name", signers(mail), [])
    recipient = lab.fresh("insider")
    mail = send(lab, report, "from our network", lab.relay(), plain(recipient), recipient)
    if mail:
        report.same("from our network", signers(mail), both(lab=lab))
        lab.verifiers.expect(report, "from our network", mail.raw, "pass", len(signers(mail)))
    recipient = lab.fresh("foreign")
    mail = send(lab, report, "a foreign author", lab.submission("anna"), plain(recipient, "anna@elsewhere.test"), recipient)
    if mail:
        report.same("a foreign author", signers(mail), [])


def handed_in(lab, report):
    """By sendmail(1), which the milter sees as mail from the host itself."""
    recipient = lab.fresh("sendmail")
    done = lab.submit.sendmail(plain(recipient), "-f", "anna@example.com", recipient)
    mail = lab.sinks["sink"].wait(recipient) if done.returncode == 0 else None
    report.true("sendmail(1)", mail, f"exit {done.returncode}: {done.stderr.decode(errors='replace')}")
    if mail:
        report.same("by sendmail(1)", signers(mail), both(lab=lab))
        lab.verifiers.expect(report, "by sendmail(1)", mail.raw, "pass", len(signers(mail)))


def authors(lab, report):
    """Who the author is decides about d=."""
    for what, author, want in (
        ("below the domain", "anna@deep.er.example.com", both(lab=lab)),
        ("a name and comments", '"Anna (x) <y@z>" (one) <anna@example.com> (two)', both(lab=lab)),
        ("capitals", "Anna@EXAMPLE.Com", both(lab=lab)),
        ("two of one domain", "anna@example.com, carl@example.com", both(lab=lab)),
        ("two of two domains", "anna@example.com, anna@example.org", []),
        ("one of them not ours", "anna@example.com, eve@elsewhere.test", []),
        ("the other way round", "eve@elsewhere.test, anna@example.com", []),
        ("only alike", "anna@notexample.com", []),
        ("only a name like ours", '"anna@example.com" <eve@elsewhere.test>', []),
        ("none", "undisclosed:;", []),
    ):
        if not lab.ours and what in ("two of two domains", "one of them not ours"):
            continue
        recipient = lab.fresh("author")
        mail = send(lab, report, what, lab.relay(), plain(recipient, author), recipient)
        if mail:
            report.same(what, signers(mail), want)
            lab.verifiers.expect(report, what, mail.raw, "pass" if want else "none", len(want))
    recipient = lab.fresh("author")
    mail = send(lab, report, "two From fields", lab.relay(), plain(recipient, more=(b"From: eve@elsewhere.test",)), recipient)
    if mail and lab.ours:
        report.same("two From fields", signers(mail), [])
    # Sender is not what DMARC looks at.
    recipient = lab.fresh("author")
    mail = send(lab, report, "Sender", lab.relay(), plain(recipient, "eve@elsewhere.test", more=(b"Sender: anna@example.com",)), recipient)
    if mail:
        report.same("Sender alone", signers(mail), [])


def told(lab, report):
    """One line in the log for each message, with the queue id of Postfix, and why."""
    recipient = lab.fresh("told")
    with lab.relay() as smtp:
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
    queue_id = reply.split()[-1]
    lines = [line for line in lab.milters["signer"].said().splitlines() if f"queue_id={queue_id}" in line]
    report.true("one line for a message", len(lines) == 1 and "event=signed" in lines[0] and "why=" in lines[0], lines)


def negotiated(lab, report):
    """DATA is wanted, and answered: otherwise a TCP connection to a milter stands still for 40 ms with each message.

    smtpd(8) hands the connection to cleanup(8) after DATA. If the last thing that it has written is not answered,
    Nagle's algorithm keeps the first packet of cleanup(8) until the kernel acknowledges without a reply, which it delays.
    """
    for name, spy in lab.spies.items():
        said = [data for connection in spy.connections for data in connection.of(b"O", from_mta=False)]
        steps = {struct.unpack(">I", data[8:12])[0] for data in said}
        report.true(f"the {name} lets DATA be told and answers it", not any(step & DATA_UNANSWERED for step in steps), [hex(step) for step in steps])


def refusals(lab, report):
    """What is not to leave unsigned: on_sender_mismatch and on_error."""
    signer = lab.milters["signer"]
    before = signer.settings["tables"]
    rule = {"from": "example.com", "domain": "example.com", "selector": "gone", "key": str(lab.keys / "gone.pem")}
    try:
        signer.change(tables={**before, "signing": {**before["signing"], "on_sender_mismatch": "reject"}})
        with lab.submission("carl") as smtp:
            replies = [
                smtp.send("carl@example.com", [lab.fresh("mismatch")], plain("bob@sink.test", author)) for author in ("anna@example.com", "carl@example.com")
            ]
        report.same("on_sender_mismatch = reject", [reply[0] for reply in replies], ["5", "2"])
        signer.change(tables={**before, "signing": {**before["signing"], "rule": [rule]}})
        with lab.relay() as smtp:
            replies = [
                smtp.send("anna@example.com", [lab.fresh("no-key")], plain("bob@sink.test", author)) for author in ("anna@example.com", "eve@elsewhere.test")
            ]
        report.same("on_error = tempfail, without the key of the rule", [reply[0] for reply in replies], ["4", "2"])
    finally:
        signer.change(tables=before)


def through_both(lab, report):
    """From our user through our own receiving Postfix to the inbox."""
    recipient = lab.fresh("through", "mx.test")
    with lab.submission("anna") as smtp:
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
    mail = lab.sinks["inbox"].wait(recipient)
    report.true("through both", mail, reply)
    if mail:
        results = mail.fields("Authentication-Results")
        text = b" ".join(results).decode()
        report.true("the receiver says pass", len(results) == 1 and "dkim=pass" in text and "dkim=fail" not in text, text or "no field")
        lab.verifiers.expect(report, "through both", mail.raw, "pass", len(signers(mail)))
