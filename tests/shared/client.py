"""An SMTP client that says exactly what it is told to, byte for byte.

    with Client("127.25.0.1", 587) as smtp:
        smtp.login("anna", "secret")
        reply = smtp.send("anna@example.com", ["bob@sink.test"], b"From: …\\r\\n\\r\\n…\\r\\n")

A reply is its last line, as text; several at once are a list.
"""

import base64
import socket

TIMEOUT = 60


class Client:
    def __init__(self, address, port=25, source="127.0.0.1", helo="client.test"):
        self.socket = socket.create_connection((address, port), timeout=TIMEOUT, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.offers = self.lines_of(f"EHLO {helo}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()

    def lines_of(self, command):
        self.write(encoded(command) + b"\r\n")
        lines = []
        while not lines or lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def line(self):
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection was closed")
        return line.decode("utf-8", "replace").rstrip()

    def reply(self):
        while True:
            line = self.line()
            if line[3:4] != "-":
                return line

    def write(self, data):
        self.socket.sendall(data)

    def command(self, command):
        self.write(encoded(command) + b"\r\n")
        return self.reply()

    def commands(self, *commands):
        """Pipelined: all are written at once, then all replies are read."""
        self.write(b"".join(encoded(command) + b"\r\n" for command in commands))
        return [self.reply() for _ in commands]

    def login(self, user, password):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}")

    def envelope(self, sender, recipients, options=""):
        """The first refusal, or None."""
        said = [f"MAIL FROM:<{sender}>{options and ' '}{options}", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]
        replies = self.commands(*said)
        return next((reply for reply in replies if reply[0] != "2"), None)

    def send(self, sender, recipients, message, options=""):
        """Sends it with DATA; the last reply."""
        refusal = self.envelope(sender, recipients, options)
        if refusal:
            self.command("RSET")
            return refusal
        reply = self.command("DATA")
        if reply[0] != "3":
            return reply
        self.write(stuffed(message))
        return self.reply()

    def send_chunks(self, sender, recipients, chunks, options=""):
        """Sends it with BDAT, a chunk each; the last reply."""
        refusal = self.envelope(sender, recipients, options)
        if refusal:
            self.command("RSET")
            return refusal
        for number, chunk in enumerate(chunks, 1):
            last = " LAST" if number == len(chunks) else ""
            self.write(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            reply = self.reply()
        return reply


def encoded(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def stuffed(message):
    """As it goes over the wire after DATA, with the dot at the end."""
    data = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    return data + (b"" if data.endswith(b"\r\n") or not data else b"\r\n") + b".\r\n"
