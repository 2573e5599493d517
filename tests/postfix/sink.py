"""The servers to which Postfix sends: each keeps the bytes of every message as they came over the wire.

    sink = Sink("127.25.0.3", extensions=("8BITMIME", "PIPELINING")); background.run(sink.start())
    mail = sink.wait("bob@sink.test")

Only the dots that SMTP has added are taken away. `refuse` answers what it is told to, in place of 250.
"""

import asyncio
import re
import threading
import time
from dataclasses import dataclass, field

ALL = ("8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "SIZE 200000000")
CHUNK = 1 << 20


@dataclass
class Mail:
    """A message that has been taken in, with its envelope as it was said."""

    sender: str
    options: str
    recipients: list = field(default_factory=list)
    raw: bytes = b""

    def fields(self, name=None):
        """The raw fields, each with its folds and without its last line end; all of them, or those of a name."""
        header = self.raw.partition(b"\r\n\r\n")[0] if not self.raw.startswith(b"\r\n") else b""
        fields = re.split(rb"\r\n(?![ \t])", header)
        if name is None:
            return fields
        wanted = name.lower().encode()
        return [one for one in fields if one.partition(b":")[0].rstrip(b" \t").lower() == wanted]

    @property
    def body(self):
        return self.raw.partition(b"\r\n\r\n")[2]


class Sink:
    def __init__(self, address, port=25, extensions=ALL):
        self.address, self.port = address, port
        self.extensions = extensions
        self.mails = []
        self.refusals = {}
        self.change = threading.Condition()

    async def start(self):
        self.server = await asyncio.start_server(self.session, self.address, self.port)

    def refuse(self, recipient, reply):
        """Answers RCPT to this one so; None takes it back."""
        self.refusals[recipient] = reply

    def for_recipient(self, recipient):
        return [mail for mail in self.mails if recipient in mail.recipients]

    def wait(self, recipient, count=1, seconds=20):
        """The message for a recipient, or all if several are waited for; None or fewer where they do not come."""
        end = time.monotonic() + seconds
        with self.change:
            while len(self.for_recipient(recipient)) < count and time.monotonic() < end:
                self.change.wait(end - time.monotonic())
            found = self.for_recipient(recipient)
        return found if count > 1 else (found or [None])[0]

    async def session(self, reader, writer):
        try:
            await Session(self, reader, writer).run()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def keep(self, mail):
        with self.change:
            self.mails.append(mail)
            self.change.notify_all()


class Session:
    def __init__(self, sink, reader, writer):
        self.sink, self.reader, self.writer = sink, Reader(reader), writer
        self.mail = None

    def say(self, *lines):
        """A reply of one line or several, in one packet."""
        more = "".join(f"{line[:3]}-{line[4:]}\r\n" for line in lines[:-1])
        self.writer.write(f"{more}{lines[-1]}\r\n".encode())

    async def run(self):
        self.say("220 sink.test ESMTP")
        while True:
            line = (await self.reader.until(b"\r\n")).decode("utf-8", "surrogateescape")[:-2]
            verb = line.split(None, 1)[0].upper() if line.split() else ""
            if verb == "QUIT":
                self.say("221 bye")
                await self.writer.drain()
                return
            await self.command(verb, line)
            await self.writer.drain()

    async def command(self, verb, line):
        if verb == "EHLO":
            self.say("250 sink.test", *(f"250 {name}" for name in self.sink.extensions))
        elif verb == "MAIL":
            sender, options = path(line)
            self.mail = Mail(sender, options)
            self.say("250 ok")
        elif verb == "RCPT" and self.mail:
            recipient = path(line)[0]
            reply = self.sink.refusals.get(recipient)
            if not reply:
                self.mail.recipients.append(recipient)
            self.say(reply or "250 ok")
        elif verb == "DATA" and self.mail:
            await self.data()
        elif verb == "BDAT" and self.mail:
            size = int(line.split()[1])
            self.mail.raw += await self.reader.exactly(size)
            self.done() if line.upper().endswith("LAST") else self.say("250 more")
        elif verb in ("HELO", "RSET", "NOOP"):
            self.mail = None if verb == "RSET" else self.mail
            self.say("250 ok")
        else:
            self.say("503 what?")

    async def data(self):
        if not self.mail.recipients:
            self.say("554 no recipients")
            return
        self.say("354 go on")
        await self.writer.drain()
        # The dot may stand right after the command, and a QUIT right behind the dot.
        self.reader.lead()
        raw = await self.reader.until(b"\r\n.\r\n")
        # Dots that began a line were doubled.
        self.mail.raw = raw[:-3].replace(b"\r\n..", b"\r\n.")[2:]
        self.done()

    def done(self):
        self.sink.keep(self.mail)
        self.say("250 kept")
        self.mail = None


class Reader:
    """A stream, of which more may have come than is wanted now."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = bytearray()

    def lead(self):
        """Puts a line end before what comes next, as if there had been a line before it."""
        self.buffer[:0] = b"\r\n"

    async def until(self, mark):
        seen = 0
        while (at := self.buffer.find(mark, seen)) < 0:
            seen = max(0, len(self.buffer) - len(mark))
            await self.more()
        return self.take(at + len(mark))

    async def exactly(self, size):
        while len(self.buffer) < size:
            await self.more()
        return self.take(size)

    async def more(self):
        part = await self.stream.read(CHUNK)
        if not part:
            raise asyncio.IncompleteReadError(b"", None)
        self.buffer += part

    def take(self, size):
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken


def path(line):
    """The address between the brackets, and what follows it."""
    match = re.search(r"<(.*?)>(.*)$", line)
    return (match[1], match[2].strip()) if match else ("", "")
