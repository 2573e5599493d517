"""Messages: plain ones, and those that put a strain on every program between two people.

A hard message has a name and what is odd about it; `HARD` are those that a signature has to survive through Postfix.
"""

from dataclasses import dataclass

DATE = b"Date: Tue, 02 Jan 2024 10:00:00 +0000"


def plain(recipient, author="anna@example.com", subject="hello", body=b"Hello.\r\n", more=()):
    """A message in good order; `more` are further fields, as bytes without line end."""
    fields = [f"From: {author}", f"To: {recipient}", f"Subject: {subject}"]
    lines = [field.encode() for field in fields]
    identity = f"Message-ID: <{abs(hash((recipient, subject)))}@client.test>".encode()
    return b"\r\n".join([*lines, DATE, identity, *more, b"", body])


@dataclass
class Hard:
    """What stands between From and the blank line is in `fields`; the rest is as it is."""

    name: str
    fields: tuple = ()
    body: bytes = b"Hello.\r\n"
    author: str = "anna@example.com"
    options: str = ""
    # The recipient's domain, which decides about the transport.
    domain: str = "sink.test"
    bdat: bool = False
    # What Postfix mends in the body as it takes it in, as the bytes before and after.
    mended: tuple = (b"", b"")
    # The port of the receiving Postfix where it passes nevertheless; None where it does nowhere.
    port: int = 25

    def message(self, recipient):
        return plain(recipient, self.author, self.name, self.body, self.fields)


def lines(count, width):
    return b"".join(b"%06d " % number + b"x" * (width - 7) + b"\r\n" for number in range(count))


MIME8 = (b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit")
UMLAUTS = "Grüße aus Zürich\r\n".encode()
RFC822 = (b"MIME-Version: 1.0", b'Content-Type: multipart/mixed; boundary="cut"')
NESTED = (
    b"--cut\r\nContent-Type: message/rfc822\r\n\r\nFrom: other@other.test\r\nDKIM-Signature: v=1; a=rsa-sha256; d=other.test\r\n"
    b"Subject : blank before the colon\r\n\r\n--inner\r\n.\r\n--cut\r\nContent-Type: text/plain\r\n\r\nend\r\n--cut--\r\n"
)

HARD = [
    # Header fields, as odd as they may be.
    Hard("tab-fold", (b"X-Odd: one\r\n\ttwo\r\n\t\tthree",)),
    Hard("fold-in-subject", (b"Comments: a long\r\n comment that is\r\n   folded\r\n\tand folded  again  ",)),
    Hard("fold-after-colon", (b"Comments:\r\n value on the next line", b"Keywords:\r\n\tvalue")),
    Hard("blank-continuation", (b"Comments: one\r\n \r\n two", b"Keywords: one\r\n\t \t\r\n two\r\n  \r\n three")),
    Hard("many-folds", (b"Comments: 0" + b"".join(b"\r\n %d" % n for n in range(1, 400)),)),
    Hard("no-blank-after-colon", (b"Comments:no blank", b"Keywords:k,l")),
    Hard("blanks-after-colon", (b"Comments:    four blanks", b"Keywords:  \t mixed")),
    Hard("tab-after-colon", (b"Comments:\ttab", b"Keywords:\t\ttabs")),
    Hard("empty-values", (b"Comments:", b"Keywords: ", b"In-Reply-To:\t", b"X-Empty:")),
    Hard("blanks-at-the-end", (b"Comments: blanks   ", b"Keywords: tab\t")),
    Hard("blank-before-colon", (b"Comments : one blank", b"Keywords\t: a tab")),
    Hard("repeated-fields", (b"Comments: one", b"Comments: two", b"Comments: three", b"Received: from x by y; Tue, 02 Jan 2024 09:00:00 +0000")),
    Hard("long-field", (b"Comments: " + b"x" * 3000,)),
    Hard("long-references", (b"References: " + b"\r\n ".join(b"<%040d@client.test>" % n for n in range(1000)),)),
    Hard("references-over-60000", (b"References: " + b"\r\n ".join(b"<%040d@client.test>" % n for n in range(1500)),), port=None),
    Hard("many-fields", tuple(b"X-Many-%d: %d" % (n, n) for n in range(300))),
    Hard("field-names-in-capitals", (b"COMMENTS: loud", b"kEYWORDS: mixed")),
    Hard("encoded-words", (b"Comments: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?WsO8cmljaA==?=",)),
    Hard("8bit-in-field", ("Comments: Grüße".encode(), b"Keywords: \xe9t\xe9"), options="BODY=8BITMIME"),
    Hard("bcc-and-return-path", (b"Return-Path: <old@example.com>", b"Bcc: hidden@sink.test", b"Resent-Bcc: hidden@sink.test")),
    Hard("commas-in-to", (b"Cc: a@sink.test,\r\n b@sink.test ,c@sink.test", b'Reply-To: "A, B" <anna@example.com>')),
    # Bodies.
    Hard("empty-body", body=b""),
    Hard("body-of-newlines", body=b"\r\n" * 40),
    Hard("newlines-at-the-end", body=b"text\r\n\r\n\r\n\r\n"),
    Hard("blanks-in-body", body=b"a  b\t c \r\n \r\n\t\r\ntrailing   \r\n \r\n"),
    Hard("dots", body=b".\r\n..\r\n.x\r\n...\r\nx.\r\n.\r\n"),
    Hard("first-line-dot", body=b".first\r\n"),
    Hard("from-lines", body=b"From here\r\n>From there\r\n>>From far\r\n\r\nFrom the end\r\n"),
    Hard("looks-like-a-header", body=b"Subject: not a header\r\n\r\nFrom: nobody\r\n"),
    Hard("8bit", MIME8, UMLAUTS * 50, options="BODY=8BITMIME"),
    Hard("every-byte", MIME8, bytes(byte for byte in range(1, 256) if byte not in b"\r\n") + b"\r\n", options="BODY=8BITMIME"),
    Hard("mime-tree", RFC822, NESTED, mended=(b"Subject : ", b"Subject: "), port=2502),
    Hard("bare-cr", body=b"a\rb\r\n", mended=(b"\rb", b" b"), port=2502),
    Hard("line-of-998", body=b"y" * 998 + b"\r\n"),
    Hard("lines-over-998", body=b"y" * 999 + b"\r\n" + b"z" * 5000 + b"\r\nend\r\n", domain="asis.test"),
    Hard("line-of-a-megabyte", body=b"z" * 1_000_000 + b"\r\nend\r\n", domain="asis.test"),
    Hard("base64", (*RFC822[:1], b"Content-Type: image/png", b"Content-Transfer-Encoding: base64"), b"QUJD" * 19 + b"\r\n" + b"QQ==\r\n"),
    Hard("8bit-to-seven-bits", MIME8, UMLAUTS, options="BODY=8BITMIME", domain="asis7.test"),
    # Ways in.
    Hard("chunks", body=lines(2000, 78), bdat=True),
    Hard("chunks-of-dots", body=b".\r\n.\r\n..\r\n", bdat=True),
    # UTF-8 everywhere.
    Hard("utf8-author", MIME8, UMLAUTS, author="uwe@bücher.example", options="SMTPUTF8 BODY=8BITMIME"),
    Hard("utf8-local-part", ("Comments: Grüße".encode(), *MIME8), UMLAUTS, author='"Ü" <grüße@bücher.example>', options="SMTPUTF8 BODY=8BITMIME"),
    Hard("a-label-author", author="uwe@xn--bcher-kva.example"),
]
