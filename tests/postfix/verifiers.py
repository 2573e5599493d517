"""Who verifies what has left: dkimkit, Mail::DKIM and dkimpy, each in one run over all messages of a scenario.

    verifiers.expect(report, "what is shown", mail, "pass")
    verifiers.settle()

The peers are those of the interoperation suite, with its harnesses.
"""

import json
import os
import subprocess
from pathlib import Path

from dkimkit import ROOT, objects

PEERS = ROOT / "tests/interop/peers"
ALL = ("dkimkit", "Mail::DKIM", "dkimpy")


class Verifiers:
    def __init__(self, place, dkimkit, dns):
        self.place = place / "verified"
        self.place.mkdir()
        self.dkimkit = dkimkit
        self.dns = dns
        self.waiting = []
        self.number = 0
        interop = Path(os.environ.get("INTEROP_DIR") or ROOT / "target/interop")
        self.peers = {
            "Mail::DKIM": ["perl", PEERS / "maildkim.pl"],
            "dkimpy": [interop / "venv/bin/python", PEERS / "dkimpy_peer.py"],
        }

    def missing(self):
        """The peers that do not run."""
        return [name for name, argv in self.peers.items() if not runs([*argv, "version"])]

    def expect(self, report, what, raw, want, signatures=None, by=ALL):
        """Each verifier must say this of the message: the result of the best signature; dkimkit also how many there are."""
        self.number += 1
        path = self.place / f"{self.number:04}.eml"
        path.write_bytes(raw)
        self.waiting.append((report, what, path, want, signatures, by))

    def settle(self):
        """Verifies all that waits, and reports it."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        records = self.place / "records.json"
        records.write_text(json.dumps(self.dns.zone()))
        said = self.ask_dkimkit(records, [row[2] for row in waiting])
        for name, argv in self.peers.items():
            self.ask_peer(name, argv, records, [row[2] for row in waiting if name in row[5]])
        for report, what, path, want, signatures, by in waiting:
            report.add(f"{what} (dkimkit)", dkimkit_problem(said.get(str(path)), want, signatures))
            for name in by:
                if name != "dkimkit":
                    report.add(f"{what} ({name})", peer_problem(path, name, want))

    def ask_dkimkit(self, records, paths):
        done = self.dkimkit.run("verify", "--json", "--records", records, *paths, timeout=300)
        return {answer["file"]: answer for answer in objects(done) if answer}

    def ask_peer(self, name, argv, records, paths):
        jobs = self.place / "jobs"
        jobs.write_text("".join(f"verify\t--records\t{records}\t--in\t{path}\t--out\t{path}.{name}\n" for path in paths))
        subprocess.run([*map(str, argv), "batch", str(jobs)], capture_output=True, timeout=300, check=False)

    def json(self, raw):
        """What dkimkit says of one message, at once."""
        records = self.place / "records.json"
        records.write_text(json.dumps(self.dns.zone()))
        return (objects(self.dkimkit.run("verify", "--json", "--records", records, input=raw, timeout=300)) or [None])[0]


def dkimkit_problem(answer, want, signatures):
    if not answer:
        return "no answer"
    if answer["result"] != want:
        reasons = [signature["reason"] for signature in answer["signatures"]]
        return f"{answer['result']} {answer['reason'] or ''} {reasons} instead of {want}"
    if signatures is not None and len(answer["signatures"]) != signatures:
        return f"{len(answer['signatures'])} signatures instead of {signatures}"
    return None


def peer_problem(path, name, want):
    out = path.with_name(f"{path.name}.{name}")
    if not out.exists():
        error = path.with_name(f"{path.name}.{name}.err")
        return error.read_text().strip() if error.exists() else "no answer"
    verdicts = out.read_text().splitlines()
    got = "none" if not verdicts else "pass" if "pass" in verdicts else "fail"
    return None if got == want else f"{verdicts} instead of {want}"


def runs(argv):
    try:
        return subprocess.run([str(word) for word in argv], capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        return False
