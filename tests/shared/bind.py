"""BIND from Debian's packages: a server in a directory of its own, keys and signatures, and dig."""

import re
import subprocess
import time
from typing import NamedTuple

SOA = "@ SOA {server} hostmaster.test. 1 86400 3600 604800 300"
POLICY = 'dnssec-policy "lab" { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };\n'

# named keeps nothing outside its directory, and reaches nobody outside the lab.
OPTIONS = """
options {{
    directory "{place}";
    pid-file none;
    lock-file none;
    session-keyfile none;
    listen-on port 53 {{ {listen}; }};
    listen-on-v6 {{ none; }};
    allow-query {{ 127.0.0.0/8; localhost; }};
    allow-transfer {{ 127.0.0.0/8; localhost; }};
    empty-zones-enable no;
    notify no;
    notify-delay 0;
    transfers-in 50;
    transfers-per-ns 50;
    serial-query-rate 200;
    {more}
}};
include "{lab}/rndc.key";
controls {{ inet {address} port 953 allow {{ 127.0.0.0/8; localhost; }} keys {{ "rndc-key"; }}; }};
"""


class Process:
    """A server in the foreground, what it says in `log`; a session of its own keeps it from the Ctrl-C of a shell."""

    def __init__(self, argv, log):
        self.name = argv[0]
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def require_alive(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} has ended with {self.child.returncode}:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def start_named(lab, name, address, options, zones, listen=None):
    """`lab` is the directory of the laboratory, with `rndc.key`; the server has one of its own within it."""
    place = lab / name
    place.mkdir()
    conf = place / "named.conf"
    conf.write_text(OPTIONS.format(place=place, lab=lab, address=address, listen=listen or address, more=options) + zones)
    return Process(["named", "-g", "-n", "1", "-c", conf], place / "log")


def rndc(lab, address, *command):
    return must("rndc", "-s", address, "-p", "953", "-k", lab / "rndc.key", *command)


def wait_until(what, holds, seconds=20, processes=()):
    """Polls until `holds()` is true, and gives up after some seconds."""
    end = time.monotonic() + seconds
    while not holds():
        for process in processes:
            process.require_alive()
        if time.monotonic() > end:
            logs = "".join(process.log.read_text(errors="replace")[-2000:] for process in processes)
            raise SystemExit(f"waited {seconds} s in vain: {what}\n{logs}")
        time.sleep(0.05)


class Answer(NamedTuple):
    """What dig has got: status None where nothing came; records are (name, ttl, type, data)."""

    status: str
    flags: set
    records: list
    text: str

    def data(self, kind):
        return [record[3] for record in self.records if record[2] == kind]


def dig(address, name, kind, *options):
    """Asks the server at an address once."""
    argv = ["dig", "-r", f"@{address}", "+tries=1", "+time=3", *options, name, kind]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    status = re.search(r"status: (\w+)", text)
    flags = re.search(r";; flags: ([a-z ]*);", text)
    section = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", text, re.DOTALL)
    return Answer(
        status[1] if status else None,
        set(flags[1].split()) if flags else set(),
        records_of(section[1]) if section else [],
        text,
    )


def records_of(text):
    """(name, ttl, type, data) of each line that is a record."""
    lines = [line.split(None, 4) for line in text.splitlines() if line and not line.startswith(";")]
    return [(name, int(ttl), kind, data) for name, ttl, _, kind, data in lines]


def transfer(address, zone):
    """All records of a zone, as they stand in it."""
    argv = ["dig", "-r", f"@{address}", "+tries=1", "+time=3", zone, "AXFR"]
    return records_of(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout)


def joined(answer):
    """The texts of the TXT records, their strings joined, as they are on the wire."""
    texts = []
    for data in answer.data("TXT"):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', data)
        texts.append(re.sub(r"\\(.)", r"\1", "".join(strings)))
    return texts


def tsig_keygen(path, name):
    path.write_text(must("tsig-keygen", "-a", "hmac-sha256", name))
    path.chmod(0o600)


def nsupdate(address, zone, commands, key=None):
    """(done, what nsupdate said); the commands have whole names; `key` is a file."""
    lines = [f"server {address}", f"zone {zone}", *(f"update {command}" for command in commands), "send", ""]
    argv = ["nsupdate", "-t", "5"] + (["-k", str(key)] if key else [])
    done = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0, done.stderr.strip()


def keygen(place, origin, *options):
    return must("dnssec-keygen", "-q", "-K", place / "keys", *options, origin).split()[-1]


def policy_key(place, origin):
    """A key with which a server signs the zone by POLICY, which stands in policy.conf; returns the DS."""
    return ds_of(place, keygen(place, origin, "-k", "lab", "-l", place / "policy.conf"))


def ds_of(place, key):
    return must("dnssec-dsfromkey", "-2", place / "keys" / f"{key}.key")


def sign_file(path, origin, place, *options):
    """Signs a zone file with a new key, in place, one record a line; returns its DS."""
    key = keygen(place, origin, "-a", "ECDSAP256SHA256", "-f", "KSK")
    signed = path.with_suffix(".signed")
    must("dnssec-signzone", "-q", "-S", "-z", "-O", "full", "-K", place / "keys", "-d", place, "-o", origin, "-f", signed, *options, path)
    path.write_text(signed.read_text())
    signed.unlink()
    return ds_of(place, key)


def write_root(place, server, address, records):
    """Writes the signed root, and beside it what knows it: root.hints, root.ds and root.key, anchors.conf for BIND and delv."""
    root = place / "root.zone"
    root.write_text(f"$ORIGIN .\n$TTL 3600\n{SOA.format(server=server)}\n@ NS {server}\n{server} A {address}\n{records}")
    ds = sign_file(root, ".", place)
    (place / "root.ds").write_text(ds.replace(". IN", ". 3600 IN", 1))
    (place / "root.hints").write_text(f". 3600 NS {server}\n{server} 3600 A {address}\n")
    keys = [line.split(None, 4) for line in root.read_text().splitlines() if line.split()[3:4] == ["DNSKEY"]]
    (place / "root.key").write_text("".join(f". 3600 IN DNSKEY {key[4]}\n" for key in keys))
    words = ds.split()[3:]
    (place / "anchors.conf").write_text(f'trust-anchors {{ . static-ds {" ".join(words[:3])} "{"".join(words[3:])}"; }};\n')


def must(*argv):
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
