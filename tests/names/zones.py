"""The zones of the laboratory: files that describe themselves, and the signed root above them.

A file is NAME.zone. Its first lines are `; key: value`:

    comment     what is the matter, with the section that decides
    expect      what `check` must say: `ok`, or `error WORD`, `warning WORD`; a line each
    dnssec      what `check` must say of it: secure, insecure (the default), bogus or unknown
    selector    what is checked, `mail` by default
    domain      what is checked, NAME.test by default
    key         the private key that the record is compared with, see KEYS, rsa2048 by default; `none` for none
    servers     the NS set: `primary nsd` by default; any of the lab's servers, or `none` where test. does not delegate the zone
    named       further servers that the zone names, and test. does not
    sign        yes, no-ds, wrong-ds, bad-signature or expired; `policy`: by the primary, as it runs
    dynamic     yes: the primary takes updates with the TSIG key; nsd, if it serves the zone, follows
    update      `add …` or `delete …` as nsupdate has it, relative to the zone; sent when all servers have what the file says
    renew       no: the zone keeps the key of the file, whose private half everybody knows
    ask-first   `NAME TYPE`: the resolver is asked for this before the updates, so that it has the old answer in its cache

Then the records, relative to NAME.test. SOA and NS come from the header.
"""

import base64
import functools
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bind import POLICY, SOA, ds_of, keygen, policy_key, sign_file, write_root

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FAULTS = ROOT / "testdata/zones"
LIVE = HERE / "zones"
TLD = "test"

KEYS = {
    "rsa1024": ROOT / "keys/test.example/rsa1024.pem",
    "rsa2048": ROOT / "keys/test.example/rsa2048.pem",
    "rsa4096": FAULTS / "rsa4096.pem",
    "ed25519": ROOT / "keys/test.example/ed.pem",
    "none": None,
}
# Kinds with one length of the public half, so that a new key fits into the place of the old one.
GENERATED = {
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    "ed25519": ["-algorithm", "ED25519"],
}
SERVERS = {"root", "primary", "secondary", "nsd", "relay", "silent", "closed", "lame"}
SIGNINGS = {"no", "yes", "no-ds", "wrong-ds", "bad-signature", "expired", "policy"}
DNSSEC = {"secure", "insecure", "bogus", "unknown"}
REPEATED = {"expect", "update"}
ONCE = {"comment", "dnssec", "renew", "named", "selector", "domain", "key", "servers", "sign", "dynamic", "ask-first"}


@dataclass
class Zone:
    name: str
    comment: str
    expect: set
    dnssec: str
    selector: str
    domain: str
    key: str
    servers: list
    named: list
    sign: str
    dynamic: bool
    renewed: bool
    updates: list
    ask_first: list
    records: str
    # What the servers load, set by `write`.
    file: Path = field(default=None)

    @property
    def origin(self):
        return f"{self.name}.{TLD}"

    @property
    def record_name(self):
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def findings(self):
        return self.expect - {("ok",)}

    def is_at(self, server):
        """Whether this server has the data; the relay hands over what nsd says."""
        return server in self.servers or (server == "nsd" and "relay" in self.servers)


def load():
    """All zones, those of the faults first."""
    zones = [parse(path) for place in (FAULTS, LIVE) for path in sorted(place.glob("*.zone"))]
    names = [zone.name for zone in zones]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit(f"two zones of one name: {', '.join(twice)}")
    return zones


def parse(path):
    text = path.read_text(encoding="utf-8")
    header = {name: [] for name in ONCE | REPEATED}
    lines = text.splitlines()
    for line in lines:
        match = re.fullmatch(r"; ([a-z-]+): (.+)", line)
        if not match:
            break
        require(path, match[1] in header, f"unknown header {match[1]}")
        header[match[1]].append(match[2])
    for name in ONCE:
        require(path, len(header[name]) <= 1, f"{name} stands twice")

    one = {name: values[0] for name, values in header.items() if name in ONCE and values}
    zone = Zone(
        name=path.stem,
        comment=one.get("comment", ""),
        expect={tuple(expect.split()) for expect in header["expect"]},
        dnssec=one.get("dnssec", "insecure"),
        selector=one.get("selector", "mail"),
        domain=one.get("domain", f"{path.stem}.{TLD}"),
        key=one.get("key", "rsa2048"),
        servers=one.get("servers", "primary nsd").replace("none", "").split(),
        named=one.get("named", "").split(),
        sign=one.get("sign", "no"),
        dynamic=one.get("dynamic") == "yes" or bool(header["update"]),
        renewed=one.get("renew") != "no",
        updates=header["update"],
        ask_first=one.get("ask-first", "").split(),
        records="\n".join(lines[sum(map(len, header.values())) :]) + "\n",
    )
    require(path, zone.comment, "no comment")
    require(path, zone.expect or path.parent == LIVE, "no expect")
    for expect in zone.expect:
        require(path, expect == ("ok",) or (len(expect) == 2 and expect[0] in ("error", "warning")), f"odd expect {expect}")
    require(path, ("ok",) not in zone.expect or len(zone.expect) == 1, "ok, and yet a finding")
    require(path, zone.dnssec in DNSSEC and zone.sign in SIGNINGS and zone.key in KEYS, "unknown dnssec, sign or key")
    require(path, set(zone.servers + zone.named) <= SERVERS, f"unknown server among {zone.servers + zone.named}")
    require(path, "primary" in zone.servers or not zone.dynamic and "secondary" not in zone.servers, "dynamic or secondary without primary")
    return zone


def renew(zone, new_key):
    """Puts a new key in the place of each test key in the zone, piece by piece: what was cut stays cut."""
    pairs = [(public(KEYS[name]), public(new_key(name))) for name in GENERATED] if zone.renewed else []

    def renewed(match):
        for old, new in pairs:
            at = old.find(match[0])
            if at >= 0:
                return new[at : at + len(match[0])]
        return match[0]

    piece = re.compile(r"[A-Za-z0-9+/]{6,}=*")
    zone.records = piece.sub(renewed, zone.records)
    zone.updates = [piece.sub(renewed, update) for update in zone.updates]


@functools.cache
def public(path):
    """The public half of a private key, as in p=."""
    der = subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout", "-outform", "DER"], capture_output=True, timeout=60, check=True).stdout
    # RFC 8463: an Ed25519 key stands in p= without what is around it.
    return base64.b64encode(der[-32:] if len(der) == 44 else der).decode()


def require(path, holds, problem):
    if not holds:
        raise SystemExit(f"{path.name}: {problem}")


def write(zones, place, addresses):
    """Writes all zones under `place`, signed from the leaves to the root; the DS of the root is in root.ds."""
    (place / "keys").mkdir()
    (place / "policy.conf").write_text(POLICY)
    delegations = []
    for zone in zones:
        if not zone.servers:
            continue
        plain = f"$ORIGIN {zone.origin}.\n$TTL 3600\n" + SOA.format(server="primary.ns.test.") + "\n"
        plain += "".join(f"@ NS {server}.ns.{TLD}.\n" for server in zone.servers + zone.named) + zone.records
        zone.file = place / f"{zone.name}.zone"
        zone.file.write_text(plain)
        delegations += [f"{zone.name} NS {server}.ns.{TLD}.\n" for server in zone.servers]
        if zone.sign != "no":
            delegations.append(sign(zone, place))

    hosts = "".join(f"{name}.ns.{TLD}. A {address}\n" for name, address in addresses.items())
    top = place / f"{TLD}.zone"
    top.write_text(f"$ORIGIN {TLD}.\n$TTL 3600\n" + SOA.format(server="root.ns") + "\n@ NS root.ns\n" + hosts + "".join(delegations))
    top_ds = sign_file(top, TLD, place)
    write_root(place, f"root.ns.{TLD}.", addresses["root"], f"{TLD} NS root.ns.{TLD}.\n{top_ds}")


def sign(zone, place):
    """Signs the zone as its header says, and returns what the parent holds of it."""
    if zone.sign == "policy":
        return policy_key(place, zone.origin)
    options = ["-P", "-s", "20200101000000", "-e", "20200201000000"] if zone.sign == "expired" else []
    ds = sign_file(zone.file, zone.origin, place, *options)
    if zone.sign == "bad-signature":
        spoil_signature(zone)
    if zone.sign == "wrong-ds":
        return ds_of(place, keygen(place, zone.origin, "-a", "ECDSAP256SHA256", "-f", "KSK"))
    return "" if zone.sign == "no-ds" else ds


def spoil_signature(zone):
    """Changes one character of the signature over the record."""
    lines = zone.file.read_text().splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if words[0].lower() == f"{zone.record_name}.".lower() and words[3:5] == ["RRSIG", "TXT"]:
            start = line.index(words[12])
            lines[number] = line[:start] + ("B" if line[start] == "A" else "A") + line[start + 1 :]
            zone.file.write_text("\n".join(lines) + "\n")
            return
    raise SystemExit(f"{zone.name}: no signature over {zone.record_name}")
