"""What Postfix does by itself, whatever the milter is: a milter that only does what it is told shows it.

Nothing here runs dkimkit. What our milter takes for granted about Postfix is written down in these tables, so that a
release of Postfix that does otherwise is noticed.
"""

import struct

from client import stuffed
from messages import MIME8, NESTED, RFC822, plain
from wire import ALL_ACTIONS, LEADING_SPACE, add_header, change_header, insert_header

PORT = 2509

# A field as it is sent; its name and its value at the milter, with the leading blanks; and as it leaves.
FIELDS = [
    (b"X-A: one", (b"X-A", b" one"), None),
    (b"X-A:none", (b"X-A", b"none"), None),
    (b"X-A:  two", (b"X-A", b"  two"), None),
    (b"X-A:\ttab", (b"X-A", b"\ttab"), None),
    (b"X-A: \tboth", (b"X-A", b" \tboth"), None),
    (b"X-A:", (b"X-A", b""), None),
    (b"X-A: ", (b"X-A", b" "), None),
    (b"X-A:\t", (b"X-A", b"\t"), None),
    (b"X-A: trailing \t", (b"X-A", b" trailing \t"), None),
    (b"X-A:\r\n fold", (b"X-A", b"\n fold"), None),
    (b"X-A: a\r\n\tb\r\n  c", (b"X-A", b" a\n\tb\n  c"), None),
    (b"X-A: a\r\n \r\n\t\t\r\n c", (b"X-A", b" a\n \n\t\t\n c"), None),
    (b"X-A: \xe9 \xc3\xa9", (b"X-A", b" \xe9 \xc3\xa9"), None),
    (b"X-A: \x01\x7f", (b"X-A", b" \x01\x7f"), None),
    # Blanks before the colon are gone before a milter looks.
    (b"X-A : blank", (b"X-A", b" blank"), b"X-A: blank"),
    (b"X-A\t : blanks", (b"X-A", b" blanks"), b"X-A: blanks"),
    (b"Subject\t: known", (b"Subject", b" known"), b"Subject: known"),
    # So is what follows a NUL, and a bare CR has become a blank.
    (b"X-A: a\0b", (b"X-A", b" a"), b"X-A: a"),
    (b"X-A: a\rb", (b"X-A", b" a b"), b"X-A: a b"),
]
# Gone before a milter looks, by message_drop_headers.
DROPPED = [b"Return-Path: <x@y.test>", b"Bcc: x@y.test", b"Resent-Bcc: x@y.test", b"Content-Length: 7"]

# Three fields of one name, others between them.
HEADER = [b"X-N: one", b"X-A: a", b"X-N : two", b"X-B: b", b"x-n:three"]
OURS = b"Received"
# Changes; then what of HEADER, of Received and of what was added leaves.
ONE, A, TWO, B, THREE = b"X-N: one", b"X-A: a", b"X-N: two", b"X-B: b", b"x-n:three"
CHANGES = [
    # The field that Postfix adds is hidden, and counts as number 0 where something is inserted.
    ("insert 0", [insert_header(0, "X-I", " v")], [b"X-I: v", OURS, ONE, A, TWO, B, THREE]),
    ("insert 1", [insert_header(1, "X-I", " v")], [OURS, b"X-I: v", ONE, A, TWO, B, THREE]),
    ("insert 2", [insert_header(2, "X-I", " v")], [OURS, ONE, b"X-I: v", A, TWO, B, THREE]),
    ("insert far down", [insert_header(99, "X-I", " v")], [OURS, ONE, A, TWO, B, THREE, b"X-I: v"]),
    ("insert 0 twice", [insert_header(0, "X-I", " v"), insert_header(0, "X-J", " w")], [b"X-J: w", b"X-I: v", OURS, ONE, A, TWO, B, THREE]),
    ("insert 0, then 1", [insert_header(0, "X-I", " v"), insert_header(1, "X-J", " w")], [b"X-I: v", b"X-J: w", OURS, ONE, A, TWO, B, THREE]),
    ("add", [add_header("X-I", " v")], [OURS, ONE, A, TWO, B, THREE, b"X-I: v"]),
    # A name is found in any case, without the blank; numbers count from one and move up at once.
    ("delete 1", [change_header(1, "x-N", "")], [OURS, A, TWO, B, THREE]),
    ("delete 2", [change_header(2, "X-N", "")], [OURS, ONE, A, B, THREE]),
    ("delete 2 with its blank", [change_header(2, "X-N ", "")], [OURS, ONE, A, TWO, B, THREE]),
    ("delete what is not there", [change_header(4, "X-N", "")], [OURS, ONE, A, TWO, B, THREE]),
    ("delete 0", [change_header(0, "X-N", "")], [OURS, A, TWO, B, THREE]),
    ("delete upwards", [change_header(n, "X-N", "") for n in (3, 2, 1)], [OURS, A, B]),
    ("delete downwards", [change_header(n, "X-N", "") for n in (1, 2, 3)], [OURS, A, TWO, B]),
    ("delete, then insert", [change_header(n, "X-N", "") for n in (3, 2, 1)] + [insert_header(0, "X-N", " v")], [b"X-N: v", OURS, A, B]),
    ("insert, then delete 1", [insert_header(0, "X-N", " v"), change_header(1, "X-N", "")], [OURS, ONE, A, TWO, B, THREE]),
    ("delete Received", [change_header(1, "Received", "")], [OURS, ONE, A, TWO, B, THREE]),
    ("change 2", [change_header(2, "X-N", " v")], [OURS, ONE, A, b"X-N: v", B, THREE]),
    ("change what is not there", [change_header(4, "X-N", " v")], [OURS, ONE, A, TWO, B, THREE, b"X-N: v"]),
    # Values are written as they are; a line end is LF, and what is not folded gets a tab.
    ("no blank", [insert_header(0, "X-I", "v")], [b"X-I:v", OURS, ONE, A, TWO, B, THREE]),
    ("folds", [insert_header(0, "X-I", " v\n w\n\tx")], [b"X-I: v\r\n w\r\n\tx", OURS, ONE, A, TWO, B, THREE]),
    ("a fold first", [insert_header(0, "X-I", "\n v")], [b"X-I:\r\n v", OURS, ONE, A, TWO, B, THREE]),
    ("CRLF doubles the CR", [insert_header(0, "X-I", " v\r\n w")], [b"X-I: v\r\r\n w", OURS, ONE, A, TWO, B, THREE]),
    ("no fold", [insert_header(0, "X-I", " v\nX-J: w")], [b"X-I: v\r\n\tX-J: w", OURS, ONE, A, TWO, B, THREE]),
    ("a line end at the end", [insert_header(0, "X-I", " v\n")], [b"X-I: v\r\n\t", OURS, ONE, A, TWO, B, THREE]),
]

# A body as it is sent, at the milter, and as it leaves from there.
BODIES = [
    ("plain", b"a\r\nb\r\n", b"a\r\nb\r\n", None),
    ("empty", b"", b"", None),
    ("newlines", b"\r\n\r\n", b"\r\n\r\n", None),
    ("no line end at the end", b"a", b"a\r\n", None),
    ("dots", b".\r\n..\r\n.x\r\n", b".\r\n..\r\n.x\r\n", None),
    ("NUL", b"a\0b\r\n", b"a\0b\r\n", None),
    ("bare LF", b"a\nb\r\n", b"a\r\nb\r\n", None),
    ("bare CR", b"a\rb\r\n", b"a b\r\n", None),
    ("CR CR LF", b"a\r\r\nb\r\n", b"a\r\nb\r\n", None),
    ("a line of 998", b"x" * 998 + b"\r\n", b"x" * 998 + b"\r\n", None),
    # The milter sees the line as it was, and the client cuts it afterwards.
    ("a line of 1000", b"x" * 1000 + b"\r\n", b"x" * 1000 + b"\r\n", b"x" * 998 + b"\r\n xx\r\n"),
]


def run(lab, report):
    report.group("Postfix: fields")
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE)
    fields(lab, report)
    names(lab, report)
    report.group("Postfix: changes")
    changes(lab, report)
    report.group("Postfix: bodies")
    bodies(lab, report)
    line_ends(lab, report)
    report.group("Postfix: macros")
    macros(lab, report)
    limits(lab, report)
    report.group("Postfix: settings")
    settings(lab, report)


def pass_through(lab, message, changes=(), options="", port=PORT, domain="sink.test", chunks=False):
    """Sends it past the probe: what the probe was told, and what leaves."""
    lab.probe.clear()
    lab.probe.changes = list(changes)
    recipient = lab.fresh("habit", domain)
    with lab.relay(port) as smtp:
        if chunks:
            reply = smtp.send_chunks("anna@example.com", [recipient], [message], options)
        else:
            reply = smtp.send("anna@example.com", [recipient], message, options)
    lab.probe.changes = []
    sink = lab.sinks["seven" if "7" in domain or "seven" in domain else "sink"]
    mail = sink.wait(recipient) if reply[0] == "2" else None
    if mail is None:
        raise SystemExit(f"it did not arrive: {reply}\n{lab.submit.log()[-1000:]}")
    return lab.probe.last(), mail


def with_fields(*more):
    return plain("bob@sink.test", more=more)


def fields(lab, report):
    for sent, told, leaves in FIELDS:
        seen, mail = pass_through(lab, b"\r\n".join([b"From: anna@example.com", sent, b"", b"Hello.\r\n"]))
        report.same(f"{sent!r} at the milter", seen.headers()[1:], [told])
        report.same(f"{sent!r} as it leaves", mail.fields()[2:], [leaves or sent])

    # Without this step of the negotiation, one blank is taken from each value, and a tab is not one.
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, 0)
    seen, _ = pass_through(lab, with_fields(b"X-A:  two", b"X-B:\ttab", b"X-C:none", b"X-D: \tboth", b"X-E:\r\n fold"))
    report.same(
        "without leading blanks", [value for name, value in seen.headers() if name.startswith(b"X-")], [b" two", b"\ttab", b"none", b"\tboth", b"\n fold"]
    )
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE)

    seen, mail = pass_through(lab, with_fields(*DROPPED, b"Received: from a by b; Tue, 02 Jan 2024 09:00:00 +0000"))
    names = [name.lower() for name, _ in seen.headers()]
    report.same("what is dropped", [name for name in names if name in (b"return-path", b"bcc", b"resent-bcc", b"content-length")], [])
    report.same("Received of others is told, ours is not", (names.count(b"received"), len(mail.fields("Received"))), (1, 2))


def names(lab, report):
    """Where the header ends, if a line is no field."""
    for what, line in (("a word", b"garbage"), ("a colon", b": x"), ("8bit name", "X-é: x".encode()), ("a blank in the name", b"X a: x")):
        seen, mail = pass_through(lab, b"From: anna@example.com\r\n" + line + b"\r\nTo: x@y.test\r\n\r\nbody\r\n")
        rest = line + b"\r\nTo: x@y.test\r\n\r\nbody\r\n"
        report.same(f"{what}: the body begins there", (seen.headers(), seen.body(), mail.body), ([(b"From", b" anna@example.com")], rest, rest))
    seen, _ = pass_through(lab, b"From anna Tue Jan  2\r\nFrom: anna@example.com\r\n\r\nbody\r\n")
    report.same("a From line of an mbox", seen.headers()[0], (b"X-Mailbox-Line", b" From anna Tue Jan  2"))


def changes(lab, report):
    for what, packets, want in CHANGES:
        _, mail = pass_through(lab, b"\r\n".join([*HEADER, b"", b"Hello.\r\n"]), packets)
        got = [OURS if field.startswith(b"Received:") else field for field in mail.fields()]
        report.same(what, got, want)


def bodies(lab, report):
    for what, sent, told, leaves in BODIES:
        for chunks in (False, True):
            seen, mail = pass_through(lab, plain("bob@sink.test", body=sent), chunks=chunks)
            report.same(f"{what}{' in a chunk' if chunks else ''}", (seen.body(), mail.body), (told, leaves or told))
    seen, _ = pass_through(lab, plain("bob@sink.test", body=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 3000))
    report.same("a chunk at the milter has at most 65535 bytes", {len(chunk) for chunk in seen.of(b"B")[:-1]}, {65535})
    # A milter that has seen enough is left alone.
    lab.probe.replies = {b"B": b"s"}
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE | 0x400)
    seen, mail = pass_through(lab, plain("bob@sink.test", body=(b"y" * 70 + b"\r\n") * 3000))
    report.same("after SKIP", (len(seen.of(b"B")), len(mail.body)), (1, 72 * 3000))
    lab.probe.replies = {}
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE)

    seen, _ = pass_through(lab, plain("bob@sink.test", body=b"a\rb\r\n"), port=2536)
    report.same("bare CR with cleanup_replace_stray_cr_lf=no", seen.body(), b"a\rb\r\n")
    # Fields within a message/rfc822 part are mended too: a body that was signed elsewhere is not the same behind Postfix.
    seen, _ = pass_through(lab, plain("bob@sink.test", body=NESTED, more=RFC822))
    report.same("a blank before a colon, in a part", seen.body(), NESTED.replace(b"Subject : ", b"Subject: "))
    seen, _ = pass_through(lab, plain("bob@sink.test", body=NESTED, more=RFC822), port=2531)
    report.same("with disable_mime_input_processing", seen.body(), NESTED)


def line_ends(lab, report):
    """What ends a message, by default and with smtpd_forbid_bare_newline."""
    hidden = b"From: anna@example.com\r\n\r\nseen\n.\nMAIL FROM:<eve@example.com>\r\n"
    for what, port, want in (("by default", PORT, b"seen\r\n"), ("normalize", 2532, b"seen\r\nMAIL FROM:<eve@example.com>\r\n"), ("reject", 2533, None)):
        recipient = lab.fresh("line-ends")
        with lab.relay(port) as smtp:
            smtp.envelope("anna@example.com", [recipient])
            smtp.command("DATA")
            smtp.write(stuffed(hidden).replace(b"\n..\n", b"\n.\n"))
            reply = smtp.reply()
        mail = lab.sinks["sink"].wait(recipient) if reply[0] == "2" else None
        report.same(f"LF . LF {what}", mail and mail.body, want)


def macros(lab, report):
    """Which macros come without being asked for, and when."""
    seen, _ = pass_through(lab, with_fields())
    told = seen.macros()
    report.same("at connect", set(told["C"]), {b"j", b"{daemon_name}", b"{daemon_addr}", b"v", b"_"})
    report.same("at MAIL", set(told["M"]), {b"{mail_addr}", b"{mail_host}", b"{mail_mailer}"})
    report.same("the queue id comes with", [command for command in "MRTLNE" if b"i" in told[command]], list("TLNE"))
    report.same("a client without a name", seen.of(b"C")[0].split(b"\0")[0], b"[127.25.0.10]")

    # With a list of ours it tells what we ask for; cleanup(8), from the header on, knows no name of the daemon.
    wanted = b"".join(struct.pack(">I", stage) + b"i {daemon_name} {auth_authen} {client_addr}\0" for stage in (0, 2, 5, 6))
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE) + wanted
    lab.probe.clear()
    recipient = lab.fresh("macros")
    with lab.submission("anna", port=2534) as smtp:
        smtp.send("anna@example.com", [recipient], plain(recipient))
    lab.sinks["sink"].wait(recipient)
    told = lab.probe.last().macros()
    report.true("a list for the end counts for chunks of the body", b"{client_addr}" in told["B"], told["B"])
    report.same("the login at MAIL, and later", [told[stage].get(b"{auth_authen}") for stage in "MLE"], [b"anna"] * 3)
    report.same("the daemon's name", [told[stage].get(b"{daemon_name}") for stage in "CME"], [b"ORIGINATING", b"ORIGINATING", b"submit.test"])
    lab.probe.negotiation = struct.pack(">III", 6, ALL_ACTIONS, LEADING_SPACE)

    recipient = lab.fresh("macros")
    lab.submit.sendmail(plain(recipient), "-f", "anna@example.com", recipient)
    lab.sinks["sink"].wait(recipient)
    seen = lab.spies["signer"].last(recipient.encode())
    report.same("sendmail(1) connects", seen.of(b"C"), [b"localhost\x004\0\x00127.0.0.1\0"])
    report.same("sendmail(1) has no brackets", seen.of(b"M"), [b"anna@example.com\0"])
    report.same("sendmail(1) has its queue id at MAIL", b"i" in seen.macros()["M"], True)


def limits(lab, report):
    """A header field ends after 60,000 bytes, whatever header_size_limit is, with a milter or without."""
    long = b"X-Long: " + b"x" * 70000
    for port in (PORT, 2535):
        seen, mail = pass_through(lab, with_fields(long, b"X-After: a"), port=port)
        told = dict(seen.headers())
        report.same(f"a long field at the milter, port {port}", (len(told[b"X-Long"]), told[b"X-After"]), (60000 - len(b"X-Long:"), b" a"))
        left = mail.fields("X-Long")[0]
        report.true(f"a long field as it leaves, port {port}", 60000 < len(left) < 61000 and left.count(b"\r\n") > 50, f"{len(left)} bytes")

    _, mail = pass_through(lab, with_fields(long), port=2537)
    report.same("a long field without a milter", len(mail.fields("X-Long")[0].replace(b"\r\n ", b"")), 60000)


def settings(lab, report):
    """What is changed behind the milter: the settings on the left do it, those on the right do not."""
    cases = [
        ("a line over 998", plain("x", body=b"y" * 2000 + b"\r\n"), "", "sink.test", "asis.test"),
        ("8bit to a server without 8BITMIME", plain("x", body="Grüße\r\n".encode(), more=MIME8), "BODY=8BITMIME", "seven.test", "asis7.test"),
        ("a subject, by smtp_header_checks", plain("x", subject="old"), "", "checks.test", "sink.test"),
        ("an address, by smtp_generic_maps", plain("x"), "", "generic.test", "sink.test"),
    ]
    for what, message, options, changed, kept in cases:
        for domain, same in ((changed, False), (kept, True)):
            _, mail = pass_through(lab, message, options=options, domain=domain)
            report.same(f"{what}, to {domain}", mail.raw.endswith(message), same)
