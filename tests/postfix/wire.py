"""The milter protocol as Postfix speaks it: a spy between Postfix and a milter, and a milter that does what it is told.

    spy = Spy("127.25.0.7", 8891, to=("127.25.0.5", 8891))
    probe = Probe("127.25.0.7", 8892, changes=[insert_header(0, "X-Probe", "1")])

Both keep `connections`: of each, the packets (from Postfix or not, command, data) in their order.
"""

import asyncio
import struct

# What a milter can be told, and what it can do (the flags of version 6).
ALL_ACTIONS = 0x1FF
NO_STEPS = 0
LEADING_SPACE = 0x100000

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = b"c", b"a", b"r", b"t", b"d"


class Connection(list):
    """(from_mta, command, data), in order."""

    def of(self, command, from_mta=True):
        return [data for mta, letter, data in self if mta == from_mta and letter == command]

    def headers(self):
        """[(name, value)], as they came."""
        return [tuple(data.split(b"\0")[:2]) for data in self.of(b"L")]

    def body(self):
        return b"".join(self.of(b"B"))

    def macros(self):
        """{the command that they stand before: {name: value}}; of the first message."""
        found = {}
        for data in self.of(b"D"):
            words = data[1:].split(b"\0")[:-1]
            found.setdefault(data[:1].decode(), dict(zip(words[::2], words[1::2])))
        return found


class Listener:
    def __init__(self, address, port):
        self.address, self.port = address, port
        self.connections = []

    async def start(self):
        self.server = await asyncio.start_server(self.session, self.address, self.port, limit=1 << 22)

    async def session(self, reader, writer):
        self.connections.append(Connection())
        try:
            await self.talk(self.connections[-1], reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def clear(self):
        self.connections.clear()

    def last(self, marker=None):
        """The newest connection that has had a message; with a marker, one whose headers hold it."""
        for connection in reversed(self.connections):
            if connection.of(b"L") and (marker is None or any(marker in data for data in connection.of(b"L"))):
                return connection
        return None


class Spy(Listener):
    """Hands everything over, and keeps it."""

    def __init__(self, address, port, to):
        super().__init__(address, port)
        self.to = to

    async def talk(self, kept, reader, writer):
        opened = asyncio.open_unix_connection(self.to) if isinstance(self.to, str) else asyncio.open_connection(*self.to)
        far_reader, far_writer = await opened
        try:
            await asyncio.gather(self.copy(kept, True, reader, far_writer), self.copy(kept, False, far_reader, writer))
        finally:
            far_writer.close()

    @staticmethod
    async def copy(kept, from_mta, reader, writer):
        try:
            while True:
                command, data = await read_packet(reader)
                kept.append((from_mta, command, data))
                writer.write(packet(command, data))
                await writer.drain()
        finally:
            writer.close()


class Probe(Listener):
    """A milter that takes everything, and makes these changes at the end of each message."""

    def __init__(self, address, port, actions=ALL_ACTIONS, steps=NO_STEPS, version=6, macros=b""):
        super().__init__(address, port)
        self.negotiation = struct.pack(">III", version, actions, steps) + macros
        self.changes = []
        # {command: reply} in place of "continue"; at the end of a message it comes after the changes.
        self.replies = {}

    async def talk(self, kept, reader, writer):
        while True:
            command, data = await read_packet(reader)
            kept.append((True, command, data))
            if command == b"Q":
                return
            for reply in self.answers(command):
                kept.append((False, reply[:1], reply[1:]))
                writer.write(packet(reply[:1], reply[1:]))
            await writer.drain()

    def answers(self, command):
        if command == b"O":
            return [b"O" + self.negotiation]
        if command in (b"D", b"A", b"K"):
            return []
        changes = self.changes if command == b"E" else []
        return [*changes, self.replies.get(command, CONTINUE)]


async def read_packet(reader):
    size = struct.unpack(">I", await reader.readexactly(4))[0]
    data = await reader.readexactly(size)
    return data[:1], data[1:]


def packet(command, data):
    return struct.pack(">I", len(data) + 1) + command + data


def add_header(name, value):
    return b"h" + encoded(name) + b"\0" + encoded(value) + b"\0"


def insert_header(index, name, value):
    return b"i" + struct.pack(">I", index) + encoded(name) + b"\0" + encoded(value) + b"\0"


def change_header(index, name, value):
    """An empty value takes it away."""
    return b"m" + struct.pack(">I", index) + encoded(name) + b"\0" + encoded(value) + b"\0"


def encoded(text):
    return text if isinstance(text, bytes) else text.encode()
