"""A name server that answers whatever it is asked, with the texts of people who want a page to run or load something.

    liar = Liar("127.0.0.53")
    liar.say(texts)

The texts take turns by the number in the name: the second text answers for the second address, and so on. It is on every
block list, and everything is published, as wrong as can be.
"""

import socket
import struct
import threading

A, NS, SOA, PTR, MX, TXT, AAAA, DS, TLSA, SPF, CAA = 1, 2, 6, 12, 15, 16, 28, 43, 52, 99, 257
UDP_SIZE = 1232
# A domain that has an address and nothing else, so that there is much to publish.
ALONE = b"alone.example"


class Liar:
    def __init__(self, address):
        self.say(["x"])
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.create_server((address, 53))
        for serve in (self.datagrams, self.streams):
            threading.Thread(target=serve, daemon=True).start()

    def say(self, texts):
        self.texts = [text.encode() if isinstance(text, str) else text for text in texts]

    def datagrams(self):
        while True:
            query, peer = self.udp.recvfrom(4096)
            self.udp.sendto(self.answer(query, UDP_SIZE), peer)

    def streams(self):
        while True:
            peer, _ = self.tcp.accept()
            threading.Thread(target=self.stream, args=(peer,), daemon=True).start()

    def stream(self, peer):
        with peer, peer.makefile("rb") as file:
            while head := file.read(2):
                answer = self.answer(file.read(struct.unpack(">H", head)[0]), 65535)
                peer.sendall(struct.pack(">H", len(answer)) + answer)

    def answer(self, query, size):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].lower())
            at += 1 + query[at]
        kind = struct.unpack_from(">H", query, at + 1)[0]
        question = query[12 : at + 5]
        records = self.records(labels, kind)
        answers = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for data in records)
        packet = head(query, 0, len(records)) + question + answers
        return packet if len(packet) <= size else head(query, 0x0200, 0) + question

    def records(self, labels, kind):
        name = b".".join(labels)
        if name.endswith(ALONE):
            return [bytes((192, 88, 2, 1))] if name == ALONE and kind == A else []
        number = next((int(label) for label in labels if label.isdigit()), 1) - 1
        text = self.texts[number % len(self.texts)]
        if kind == A:
            if name.endswith(b".lists.example"):
                # 127.0.0.1 is on no list (RFC 5782 section 5).
                absent = name.startswith((b"1.0.0.127.", b"invalid."))
                return [] if absent else [bytes((127, 0, 0, 2))]
            return [bytes((192, 88, 2, 1))]
        if kind in (MX, PTR, NS):
            names = [wire([label(text)] + [b"host", b"example"]) for text in self.texts[:16]]
            return [struct.pack(">H", 10 * n) + name for n, name in enumerate(names)] if kind == MX else names
        if kind in (TXT, SPF):
            return [strings(text) for text in self.said(labels, name, text)]
        if kind == CAA:
            return [bytes((128, 5)) + b"issue" + text[:200], bytes((128, 7)) + b"unknown" + text[:200]]
        if kind == TLSA:
            return [bytes((0, 9, 9)) + text[:200]]
        return []

    def said(self, labels, name, text):
        """What stands in TXT records, with the text where the grammar has room for it."""
        if b"_domainkey" in labels:
            return [b"v=DKIM1; k=rsa; n=" + text + b"; g=" + text + b"; p=AAAA", b"o=~; n=" + text]
        if labels[0] == b"_dmarc":
            return [b"v=DMARC1; p=none; rua=mailto:" + text + b"; x=" + text + b"; sp=" + text]
        if labels[0] == b"_mta-sts":
            return [b"v=STSv1; id=" + text]
        if b"_tls" in labels:
            return [b"v=TLSRPTv1; rua=" + text]
        if b"_bimi" in labels:
            return [b"v=BIMI1; l=https://" + text + b"; a=" + text]
        if b"networks" in labels:
            return [b"64500 | 192.88.0.0/" + text + b" | " + text + b" | arin |", b"64501 | 192.88.1.0/24 | " + text + b" | " + text + b" | 2001"]
        if b"names" in labels:
            return [b"64501 | DE | ripencc | 2001 | " + text]
        if name.endswith(b".lists.example"):
            return [text]
        return [b"v=spf1 include:" + text + b" ip4:" + text + b" exists:%{" + text + b" ?all", b"spf2.0/pra " + text, text]


def head(query, flags, count):
    recurse = (query[2] & 1) << 8
    return query[:2] + struct.pack(">HHHHH", 0x8480 | recurse | flags, 1, count, 0, 0)


def label(text):
    """As much of a text as a label holds; a dot would end it."""
    return text.replace(b".", b"")[:60] or b"x"


def wire(labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def strings(text):
    return b"".join(bytes([len(part)]) + part for part in (text[at : at + 255] for at in range(0, len(text) or 1, 255)))
