"""The programs of the interoperation suite: the peers, dkimkit, openssl, and their keys."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DOMAIN = "example.com"
CANONS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"]
TIMEOUT = 600


class Key(NamedTuple):
    """A key pair; its name is also its selector."""

    name: str
    path: Path
    record: str
    bits: int = None

    @property
    def algorithm(self):
        return "ed25519-sha256" if "k=ed25519" in self.record else "rsa-sha256"


class Peer(NamedTuple):
    name: str
    argv: list
    version: str
    # dkimpy reads an Ed25519 key as a bare base64 seed, the others as PEM.
    wants_seed: bool = False

    def sign_job(self, key, canon, source, out, **options):
        path = seed_file(key) if self.wants_seed and key.algorithm.startswith("ed25519") else key.path
        job = ["sign", "--domain", DOMAIN, "--selector", key.name, "--key", path, "--canon", canon]
        job += ["--algorithm", key.algorithm, "--in", source, "--out", out]
        for option, value in options.items():
            job += [f"--{option}", value]
        return job

    def verify_job(self, zone, source, out):
        return ["verify", "--records", zone, "--in", source, "--out", out]

    def batch(self, jobs, work):
        """Runs the jobs in one process; what each answered is in its --out or `.err` file."""
        path = work / f"jobs-{self.name}"
        path.write_text("".join("\t".join(map(str, job)) + "\n" for job in jobs))
        done = run(self.argv + ["batch", path])
        if done.returncode != 0:
            print(f"  {self.name}: {done.stderr.decode(errors='replace').strip()[-500:]}")


def find_peers(interop_dir):
    """The peers that `install` has put in place, by name; a missing one is None."""
    scripts = HERE / "peers"
    commands = {
        "opendkim": ([interop_dir / "opendkim"], False),
        "maildkim": (["perl", scripts / "maildkim.pl"], False),
        "dkimpy": ([interop_dir / "venv/bin/python", scripts / "dkimpy_peer.py"], True),
    }
    peers = {}
    for name, (argv, wants_seed) in commands.items():
        try:
            done = run(argv + ["version"])
            version = done.stdout.decode().strip() if done.returncode == 0 else None
        except FileNotFoundError:
            version = None
        peers[name] = Peer(name, argv, version, wants_seed) if version else None
    return peers


def answer(out):
    """What a job left: (its output, None) or (None, what went wrong)."""
    if out.exists():
        return out.read_bytes(), None
    reason = Path(f"{out}.err")
    return None, reason.read_text(errors="replace").strip() if reason.exists() else "no answer: the peer crashed"


def verdict_problem(out, expected=1, index=None):
    """None if every one of `expected` signatures passes, or the one of them at `index`."""
    data, problem = answer(out)
    if problem:
        return problem
    verdicts = data.decode(errors="replace").splitlines()
    if len(verdicts) != expected:
        return f"{len(verdicts)} verdicts for {expected} signatures"
    chosen = verdicts if index is None else [verdicts[index]]
    return next((verdict for verdict in chosen if verdict != "pass"), None)


class Dkimkit:
    def __init__(self):
        named = os.environ.get("DKIMKIT")
        choices = [Path(named)] if named else [ROOT / "target/release/dkimkit", ROOT / "target/debug/dkimkit"]
        self.path = next((path.resolve() for path in choices if path.exists()), None)

    def run(self, *args):
        return run([self.path, *args])

    def sign(self, key, canon, source, out, more=()):
        """Signs a file into `out`; returns what went wrong."""
        done = self.run("sign", "-d", DOMAIN, "-s", key.name, "-k", key.path, *more, "--canon", canon, source)
        if done.returncode != 0:
            return f"refused exit {done.returncode}: {last_line(done.stderr)}"
        out.write_bytes(done.stdout)
        return None

    def verify(self, files, *keys, policy="rfc"):
        """The JSON object of each file, by its name, and the exit code."""
        done = self.run("verify", "--json", "--policy", policy, *keys, *files)
        answers = {}
        for line in done.stdout.decode(errors="replace").splitlines():
            try:
                one = json.loads(line)
                answers[str(one["file"])] = one
            except (ValueError, KeyError, TypeError):
                print(f"  dkimkit verify: not an answer: {line[:200]}")
        if len(answers) < len(files):
            print(f"  dkimkit verify: {len(answers)} answers for {len(files)} files, exit {done.returncode}: {last_line(done.stderr)}")
        return answers, done.returncode


def json_problem(one, key, canon, index=0, count=1):
    """None if signature `index` of a dkimkit answer passes and says what was signed."""
    if one is None:
        return "no answer"
    signatures = one.get("signatures", [])
    if len(signatures) != count:
        return f"{len(signatures)} signatures instead of {count}: {one.get('reason')}"
    signature = signatures[index]
    if signature["result"] != "pass":
        return f"{signature['result']} {signature['reason']}: {signature.get('detail')}"
    if one["result"] != "pass":
        return f"the signature passes, the message has {one['result']}"
    want = {"domain": DOMAIN, "selector": key.name, "algorithm": key.algorithm, "canonicalization": canon, "reason": None}
    if key.bits:
        want["key_bits"] = key.bits
    for field, value in want.items():
        if signature.get(field) != value:
            return f"passes, but says {field} {signature.get(field)!r} instead of {value!r}"
    return None


def write_zone(path, keys):
    path.write_text(json.dumps({f"{key.name}._domainkey.{DOMAIN}.": {"TXT": [key.record]} for key in keys}, indent=1))
    return path


def openssl_key(work, name, *args, bits=None):
    """A key made by `openssl genpkey`, with its record."""
    path = work / f"{name}.pem"
    must("openssl", "genpkey", *args, "-out", path)
    path.chmod(0o600)
    return Key(name, path, record_of(path), bits)


def rsa_key(work, name, bits):
    return openssl_key(work, name, "-algorithm", "rsa", "-pkeyopt", f"rsa_keygen_bits:{bits}", bits=bits)


def ed25519_key(work, name):
    return openssl_key(work, name, "-algorithm", "ed25519", bits=256)


def record_of(pem):
    """The record of a private key as openssl understands it: SPKI for RSA, 32 bytes for Ed25519 (RFC 8463)."""
    der = must("openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER")
    kind, key = ("ed25519", der[12:]) if len(der) == 44 else ("rsa", der)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(key).decode()}"


def seed_file(key):
    """The seed of an Ed25519 key, base64, beside its PEM: the last 32 bytes of the PKCS#8 form."""
    path = Path(f"{key.path}.seed")
    if not path.exists():
        der = must("openssl", "pkey", "-in", key.path, "-outform", "DER")
        path.write_bytes(base64.b64encode(der[-32:]))
    return path


def must(*argv):
    done = run(argv)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: {last_line(done.stderr)}")
    return done.stdout


def run(argv, input=b""):
    argv = [find_program(argv[0]), *argv[1:]]
    return subprocess.run([str(arg) for arg in argv], input=input, capture_output=True, timeout=TIMEOUT, check=False)


def find_program(name):
    """A bare name in PATH or, where Debian puts opendkim-genkey out of the PATH of users, in sbin."""
    if os.sep in str(name):
        return name
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    return found or name


def last_line(stderr):
    lines = stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    return next((line for line in lines if "error" in line), lines[-1])
