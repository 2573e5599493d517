"""dkimpy as a peer; see README.md."""

import pathlib
import sys
import time

import dkim

verb, messages, keys = sys.argv[1:]
messages = [path.read_bytes() for path in sorted(pathlib.Path(messages).iterdir())]
keys = pathlib.Path(keys)
key = (keys / "rsa2048.pem").read_bytes()
record = "".join((keys / "rsa2048.txt").read_text().split('"')[1::2]).encode()


def go():
    for message in messages:
        if verb == "sign":
            dkim.sign(message, b"rsa2048", b"test.example", key, canonicalize=(b"relaxed", b"relaxed"))
        elif not dkim.verify(message, dnsfunc=lambda name, timeout=5: record):
            sys.exit("a message fails")


go()
for _ in sys.stdin:
    begin = time.perf_counter()
    go()
    print((time.perf_counter() - begin) * 1e6 / len(messages), flush=True)
