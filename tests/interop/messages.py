"""The messages of the interoperation suite.

A message is its name, the bytes of the file that dkimkit reads, and what makes it
worth a place. Peers get what a mail system would hand them: CRLF line ends and no
mbox line (`as_mail`); what they sign goes back into the form of the file for
dkimkit to verify (`as_file`).
"""

import base64
import hashlib
import re
from typing import NamedTuple

HEADER = [
    b"Date: Fri, 20 Nov 2026 10:15:00 +0100",
    b"Message-ID: <harbour-42@example.com>",
    b"From: Ann Harbour <ann@example.com>",
    b"To: Ben Quay <ben@example.net>",
    b"Subject: The tide tables for spring",
]
BODY = [b"Hello Ben,", b"", b"high water is at 06:12 and at 18:40.", b"", b"Ann"]


class Message(NamedTuple):
    name: str
    file: bytes
    why: str

    def as_mail(self):
        return as_mail(self.file)

    def as_file(self, mail):
        """Bytes that a peer made from `as_mail`, in the form of this file."""
        if b"\r\n" not in self.file:
            mail = mail.replace(b"\r\n", b"\n")
        return mbox_line(self.file) + mail

    def field_names(self):
        """The names of the fields to sign, in the form of h=, each once."""
        header = self.as_mail().split(b"\r\n\r\n")[0]
        names = re.findall(rb"^([^\s:]+)[ \t]*:", header, re.MULTILINE)
        wanted = dict.fromkeys(name.decode().lower() for name in names)
        return ":".join(name for name in wanted if name not in ("received", "return-path"))


def as_mail(file):
    return re.sub(rb"(?<!\r)\n", b"\r\n", file[len(mbox_line(file)) :])


def mbox_line(file):
    return re.match(rb"(From [^\n]*\n)?", file)[0]


def message(name, why, header=HEADER, body=BODY, end=b"\r\n"):
    """A message with CRLF line ends; `end` is what stands after the last line of the body."""
    return Message(name, b"\r\n".join([*header, b"", *body]) + end, why)


def with_fields(*fields):
    """HEADER, with the fields of the same name replaced and the others appended."""
    names = {field.split(b":")[0].strip().lower() for field in fields}
    return [field for field in HEADER if field.split(b":")[0].lower() not in names] + list(fields)


def noise(size):
    """Bytes that are the same in every run."""
    blocks = (hashlib.sha256(b"interop %d" % n).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]


ATTACHMENT = base64.encodebytes(noise(200_000)).splitlines()

MESSAGES = [
    message("plain", "the everyday case"),
    message(
        "folded-headers",
        "folds with spaces and tabs, runs of blanks, blanks at line ends",
        with_fields(
            b"To: Ben Quay <ben@example.net>,\r\n\tCleo Pier <cleo@example.net>,\r\n   Dan Lock <dan@example.org>",
            b"Subject:  The   tide\t\ttables  \r\n for spring \t",
            b"References: " + b"\r\n ".join(b"<mooring-%d@example.net>" % n for n in range(120)),
        ),
    ),
    message("fold-after-colon", "the value begins on the second line", with_fields(b"Subject:\r\n The tide tables", b"Cc:\r\n\tcleo@example.net")),
    message("blank-continuation", "a continuation line of blanks alone, RFC 5322 section 4.2", with_fields(b"Subject: The tide\r\n \r\n tables\r\n\t ")),
    message("empty-value", "fields with nothing or only blanks after the colon", with_fields(b"Subject:", b"Cc: ", b"Reply-To:  \t ")),
    message(
        "repeated-fields",
        "several fields of one name, and mixed case in names",
        [
            b"Resent-From: Cleo Pier <cleo@example.net>",
            b"Resent-To: first@example.net",
            b"RESENT-FROM: Dan Lock <dan@example.org>",
            b"resent-to: second@example.net",
            b"Received: from quay.example.net by pier.example.net; Fri, 20 Nov 2026 10:15:02 +0100",
            b"Received: from pier.example.net by lock.example.org; Fri, 20 Nov 2026 10:15:04 +0100",
            *HEADER,
        ],
    ),
    message("blank-before-colon", "an obsolete blank between name and colon", with_fields(b"Subject : The tide tables", b"Reply-To\t: ann@example.com")),
    message(
        "eight-bit",
        "UTF-8, Latin-1 and broken UTF-8 in header and body",
        with_fields(
            "Subject: Gezeiten für den Frühling".encode(),
            b"Reply-To: =?x?= \xe4\xff\xfe\x80 <ann@example.com>",
            b"MIME-Version: 1.0",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: 8bit",
        ),
        ["Hochwässer: 06:12 Uhr".encode(), b"caf\xe9 \xc3\x28 \xf0\x9f\x8c \xed\xa0\x80 \xff", "\u00a0no-break\u3000wide\u2028line".encode()],
    ),
    message("control-bytes", "every byte but CR and LF, NUL among them", body=[bytes(b for b in range(256) if b not in b"\r\n")] * 2),
    message("empty-body", "nothing after the empty line", body=[]),
    Message("no-empty-line", b"\r\n".join(HEADER) + b"\r\n", "the file ends with the header"),
    message("blank-lines-body", "a body of empty lines", body=[b"", b"", b""]),
    message("blanks-body", "a body of lines with only blanks", body=[b" ", b"\t", b" \t ", b""]),
    message("no-final-newline", "the last line has no line end", end=b""),
    message("trailing-empty-lines", "empty lines at the end", end=b"\r\n" * 40),
    message("trailing-blanks", "blanks at line ends, runs of blanks, blank lines at the end", body=[b"Hello \t", b" a  b\t\tc \t d", b"\t", b"last ", b" \t", b" "]),
    message("trailing-blanks-no-newline", "blanks at the end of a last line without line end", body=[b"Hello", b"last \t"], end=b""),
    message("blank-last-line-no-newline", "a last line of blanks alone without line end", body=[b"Hello", b" \t"], end=b""),
    message("dot-lines", "lines that begin with dots, which SMTP stuffs", body=[b".", b"..", b".hidden", b"Hello", b"."]),
    message("from-lines", "lines that an mbox would quote", body=[b"Hello", b"", b"From here on the water rises", b">From there it falls"]),
    message("long-lines", "lines beyond the 998 of RFC 5322", with_fields(b"Subject: " + b"tide " * 300), [b"word " * 1500, b"x" * 70_000, b"end"]),
    message("bare-cr", "carriage returns within lines", body=[b"one\rtwo", b"\rthree", b"end"]),
    message("cr-before-crlf", "carriage returns at line ends", body=[b"one\r", b"two \r", b"\r", b"end"]),
    message("many-lines", "a body larger than buffers", body=[b"line %d of the table" % n for n in range(20_000)]),
    message(
        "attachment",
        "a multipart message of common size",
        with_fields(b"MIME-Version: 1.0", b'Content-Type: multipart/mixed;\r\n boundary="=_quay"'),
        [
            b"This is a multi-part message in MIME format.",
            b"--=_quay",
            b"Content-Type: text/plain",
            b"",
            *BODY,
            b"--=_quay",
            b"Content-Type: application/octet-stream; name=tides.bin",
            b"Content-Transfer-Encoding: base64",
            b"",
            *ATTACHMENT,
            b"--=_quay--",
        ],
    ),
    message("only-from", "no field but From", [b"From: ann@example.com"]),
    Message("lf-file", b"\n".join([*HEADER, b"X-Note: folded", b"\there", b"", *BODY, b" blanks \t", b"", b"", b""]), "a file with bare LF line ends"),
    Message("lf-no-final-newline", b"\n".join([*HEADER, b"", *BODY]), "the same without a line end at its end"),
    message("stray-lf", "bare LFs in a file with CRLF line ends", body=[b"one\ntwo", b"", b"three \n\nfour", b"end"]),
    Message("mbox-line", b"From ann@example.com Fri Nov 20 10:15:00 2026\n" + b"\n".join([*HEADER, b"", *BODY, b""]), "an mbox line before the header"),
]
