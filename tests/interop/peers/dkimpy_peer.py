#!/usr/bin/env python3
"""Signs and verifies with dkimpy, for the interoperation suite.

    dkimpy_peer.py version
    dkimpy_peer.py sign --domain D --selector S --key K --canon h/b --algorithm A
                        [--headers a:b:c] [--oversign a:b] [--in FILE] [--out FILE]
    dkimpy_peer.py verify --records zone.json [--in FILE] [--out FILE]
    dkimpy_peer.py seal --domain D --selector S --key K --algorithm A --id NAME --status none|pass
                        [--in FILE] [--out FILE]
    dkimpy_peer.py chain --records zone.json [--in FILE] [--out FILE]
    dkimpy_peer.py batch JOBS

The message has CRLF line ends. A batch is one job a line, its arguments
separated by tabs. A job that cannot be done leaves no --out but a file of that
name and `.err`. ../README.md has the rules that all peers share.
"""

import importlib.metadata
import json
import logging
import sys

import dkim


def main(args):
    if args == ["version"]:
        print(importlib.metadata.version("dkimpy"))
        return 0
    if len(args) != 2 or args[0] != "batch":
        return run_job(args)
    with open(args[1], encoding="utf-8") as jobs:
        for line in jobs:
            run_job(line.rstrip("\n").split("\t"))
    return 0


def run_job(args):
    verbs = {"sign": sign, "verify": verify, "seal": seal, "chain": chain}
    if not args or args[0] not in verbs or len(args) % 2 == 0:
        sys.exit("a verb is needed: sign, verify, batch or version, then options with a value each")
    job = dict(zip(args[1::2], args[2::2]))
    try:
        write_file(job.get("--out"), verbs[args[0]](job))
        return 0
    except Exception as error:  # whatever a library raises is a finding about this job
        unsupported = isinstance(error, dkim.NaClNotFoundError)
        line = f"{'unsupported' if unsupported else 'refused'} {type(error).__name__}: {error}\n"
        if "--out" in job:
            write_file(job["--out"] + ".err", line.encode())
        else:
            sys.stderr.write(line)
        return 3 if unsupported else 1


def sign(job):
    message = read_file(job.get("--in"))
    signer = dkim.DKIM(message)
    headers = None
    if "--headers" in job:
        headers = every_instance(signer, job["--headers"].split(":"))
    if "--oversign" in job:
        headers = (headers or signer.default_sign_headers()) + [n.encode() for n in job["--oversign"].split(":")]
    field = signer.sign(
        job["--selector"].encode(),
        job["--domain"].encode(),
        read_file(job["--key"]).strip(),
        signature_algorithm=job["--algorithm"].encode(),
        canonicalize=tuple(part.encode() for part in job["--canon"].split("/")),
        include_headers=headers,
    )
    return field + message


def every_instance(signer, names):
    """The names as dkimpy wants them: once for each field of the message that has it."""
    wanted = {name.lower().encode() for name in names}
    return [name for name in (name.lower() for name, _ in signer.headers) if name in wanted]


def seal(job):
    message = read_file(job.get("--in"))
    # It seals with rsa-sha256 alone, and reads cv= out of the results: arc=none or arc=pass.
    fields = dkim.ARC(message).sign(
        job["--selector"].encode(),
        job["--domain"].encode(),
        read_file(job["--key"]).strip(),
        job["--id"].encode(),
    )
    if not fields:
        raise ValueError("not sealed")
    return b"".join(fields) + message


def chain(job):
    reasons = Reasons()
    message = dkim.ARC(read_file(job.get("--in")), logger=reasons.logger)
    status, _, reason = message.verify(dnsfunc=lookup_in(job["--records"]))
    verdict = "pass" if status == dkim.CV_Pass else f"fail {reason} {reasons.last or ''}"
    return (verdict.strip().replace("\n", " ") + "\n").encode()


def lookup_in(records):
    zone = {name.lower(): value for name, value in json.loads(read_file(records)).items()}

    def lookup(name, timeout=5):
        texts = zone.get(name.decode().lower(), {}).get("TXT", [])
        return texts[0].encode() if texts else None

    return lookup


def verify(job):
    lookup = lookup_in(job["--records"])
    message = read_file(job.get("--in"))
    verdicts = []
    for index in range(sum(name.lower() == b"dkim-signature" for name, _ in dkim.DKIM(message).headers)):
        reasons = Reasons()
        try:
            passed = dkim.DKIM(message, logger=reasons.logger).verify(idx=index, dnsfunc=lookup)
            verdicts.append("pass" if passed else f"fail {reasons.last or 'signature mismatch'}")
        except dkim.DKIMException as error:
            verdicts.append(f"fail {error}".replace("\n", " "))
    return "".join(verdict + "\n" for verdict in verdicts).encode()


class Reasons(logging.Handler):
    """Keeps the last error that dkimpy logs: its verdict alone is a bare False."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.last = None
        self.logger = logging.Logger("dkimpy")
        self.logger.addHandler(self)

    def emit(self, record):
        self.last = record.getMessage().replace("\n", " ")


def read_file(path):
    if path is None:
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def write_file(path, data):
    if path is None:
        sys.stdout.buffer.write(data)
        return
    with open(path, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
