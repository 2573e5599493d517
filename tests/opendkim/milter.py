"""A milter client that plays the MTA for one message, and starts what it talks to.

`record` asks OpenDKIM alone, `compare` both OpenDKIM and dkimkit.
"""

import re
import socket
import struct
import subprocess
import time

# What the client tells of itself: protocol version 6, every action, no step left out.
HELLO = struct.pack(">III", 6, 0x1FF, 0)
# What an answer at the end of a message may hold before the last word: changes of the message.
CHANGES = b"ihmp+-bequ"


def send(sock, command, data=b""):
    sock.sendall(struct.pack(">I", len(data) + 1) + command + data)


def receive(sock):
    def exactly(count):
        data = b""
        # What libmilter writes in two pieces waits for our word on the first one.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        while len(data) < count:
            part = sock.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    (length,) = struct.unpack(">I", exactly(4))
    packet = exactly(length)
    return packet[:1], packet[1:]


def ask(port, host, address, fields, body=b"x\r\n"):
    """The DKIM-Signature fields that are added to a message with these fields, from the top down, or the
    reply as a text."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        send(sock, b"O", HELLO)
        receive(sock)
        family = b"6" if ":" in address else b"4"
        steps = [
            (b"C", host.encode() + b"\0" + family + struct.pack(">H", 25) + address.encode() + b"\0"),
            (b"H", b"mail.example\0"),
            (b"M", b"<x@y.example>\0"),
            (b"R", b"<r@z.example>\0"),
        ]
        for field in fields:
            name, value = field.split(":", 1)
            steps.append((b"L", name.encode() + b"\0" + value.strip().encode() + b"\0"))
        steps += [(b"N", b""), (b"B", body), (b"E", b"")]
        added = []
        for command, data in steps:
            send(sock, command, data)
            reply, data = receive(sock)
            while reply in CHANGES:
                if reply == b"i":
                    name, value = data[4:].split(b"\0")[:2]
                    if name.lower() == b"dkim-signature":
                        added.insert(0, value.decode())
                reply, data = receive(sock)
            if reply == b"a" and command != b"E":
                return []
            if reply == b"y":
                return "reply y " + data[:3].decode()
            if reply in b"trd":
                return "reply " + reply.decode()
        return added


def tags(value):
    """The tags of a signature, without any white space."""
    return dict(t.split("=", 1) for t in re.sub(r"\s", "", value).split(";") if "=" in t)


def start(command, port, seconds=20, **how):
    """Starts a milter, and waits until it listens."""
    daemon = subprocess.Popen(command, **how)
    for _ in range(seconds * 20):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return daemon
        except OSError:
            time.sleep(0.05)
        if daemon.poll() is not None:
            raise SystemExit(f"{command[0]} ended with {daemon.returncode}")
    daemon.kill()
    raise SystemExit(f"{command[0]} does not listen on port {port}")
