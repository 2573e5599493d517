"""The name server of the laboratory: TXT records from memory, over UDP and TCP, with faults to order.

    dns = Dns("127.25.0.53"); background.run(dns.start())
    dns.publish("mail._domainkey.example.com", "v=DKIM1; p=…")
    dns.fault("late._domainkey.example.com", "silent")    # or "servfail"; None mends it

It keeps what it was asked for in `asked`. Names that it does not know do not exist.
"""

import asyncio
import struct

TXT = 16
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
UDP_SIZE = 512


class Dns(asyncio.DatagramProtocol):
    def __init__(self, address):
        self.address = address
        self.texts = {}
        self.faults = {}
        self.asked = []

    def publish(self, name, *texts):
        """Puts these TXT records in the place of all that were there; none takes the name away."""
        name = name.lower().rstrip(".")
        if texts:
            self.texts[name] = texts
        else:
            self.texts.pop(name, None)

    def fault(self, name, kind):
        self.faults[name.lower().rstrip(".")] = kind

    def zone(self):
        """All records, as `dkimkit verify --records` and the peers read them."""
        return {f"{name}.": {"TXT": list(texts)} for name, texts in self.texts.items()}

    async def start(self):
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(self.address, 53))
        await asyncio.start_server(self.stream, self.address, 53)

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        answer = self.answer(data, UDP_SIZE)
        if answer:
            self.transport.sendto(answer, peer)

    async def stream(self, reader, writer):
        try:
            while True:
                size = struct.unpack(">H", await reader.readexactly(2))[0]
                answer = self.answer(await reader.readexactly(size), 65535)
                if answer:
                    writer.write(struct.pack(">H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, query, size):
        """The packet that answers this one; None where a fault says so."""
        labels, at = read_name(query, 12)
        name = ".".join(labels).lower()
        kind = struct.unpack_from(">H", query, at)[0]
        question = query[12 : at + 4]
        self.asked.append(name)
        fault = self.faults.get(name)
        if fault == "silent":
            return None
        texts = self.texts.get(name, ()) if kind == TXT else ()
        code = SERVFAIL if fault == "servfail" else NOERROR if self.exists(name) else NXDOMAIN
        records = [] if code else [resource(name, text) for text in texts]
        packet = head(query, code, len(records)) + question + b"".join(records)
        # An answer that is too large is cut, and asked for again over TCP.
        return packet if len(packet) <= size else head(query, code, 0, cut=True) + question

    def exists(self, name):
        return any(known == name or known.endswith(f".{name}") for known in self.texts) or name.count(".") == 0


def head(query, code, count, cut=False):
    recurse = query[2] & 1
    flags = 0x8480 | recurse << 8 | cut << 9 | code
    return query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0)


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return labels, at + 1


def resource(name, text):
    """A TXT record, its text in strings of at most 255 bytes."""
    text = text.encode()
    strings = [text[at : at + 255] for at in range(0, len(text), 255)] or [b""]
    data = b"".join(bytes([len(string)]) + string for string in strings)
    # The name of the question, once more.
    return b"\xc0\x0c" + struct.pack(">HHIH", TXT, 1, 60, len(data)) + data
