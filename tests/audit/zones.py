"""The zones: files, their keys, and who has them."""

import base64
import hashlib
import struct

import records as texts
from bind import POLICY, SOA, ds_of, keygen, policy_key, write_root
from layout import PRIMARY, ROOT, TLD

# Zones whose name server never answers.
SILENT = f"silent.{TLD}"
NS = f"primary.ns.{TLD}."


class Zones:
    """Every zone of the primary server; a case has the zone of its domain."""

    def __init__(self, place, cases, records):
        self.place = place
        self.records = records
        self.signings = {**dict.fromkeys(texts.WORLD, "signed"), **{case.domain: case.dnssec for case in cases}}
        # The DS records, as the parents have them or should.
        self.ds = {}

    @property
    def origins(self):
        return list(self.signings)

    def zone_of(self, name, kind="A"):
        """The zone that a record stands in: a DS stands above the cut (RFC 4034 §5)."""
        labels = name.rstrip(".").lower().split(".")
        for at in range(1 if kind == "DS" else 0, len(labels)):
            origin = ".".join(labels[at:])
            if origin in self.signings:
                return origin
        return None

    def write(self):
        (self.place / "keys").mkdir(parents=True)
        (self.place / "policy.conf").write_text(POLICY)
        self.make_keys()
        parts = {origin: [] for origin in self.origins}
        for record in self.records.all():
            origin = self.zone_of(record.name, record.type)
            if origin is None:
                raise SystemExit(f"no zone for {record}")
            parts[origin].append(f"{record.name} 300 {record.type} {texts.rdata(record.type, record.value)}\n")
        for origin in self.origins:
            above = self.zone_of(origin, "DS")
            if above:
                parts[above] += self.delegation(origin)
        parts[TLD].append(f"{SILENT}. NS silent.ns.{TLD}.\n")
        for origin, lines in parts.items():
            self.file(origin).write_text(f"$ORIGIN {origin}.\n$TTL 300\n{SOA.format(server=NS)}\n@ NS {NS}\n{''.join(lines)}")
        tops = [origin for origin in self.origins if not self.zone_of(origin, "DS")]
        glue = f"{NS} A {PRIMARY}\n"
        write_root(self.place, f"root.ns.{TLD}.", ROOT, glue + "".join(line for origin in tops for line in self.delegation(origin)))

    def make_keys(self):
        """One key for all zones: to make two hundred takes longer than all else."""
        policy_key(self.place, TLD)
        for origin in self.origins:
            self.ds[origin] = self.copy_key(origin)

    def copy_key(self, origin):
        """Gives a zone the key of the top, and returns its DS (RFC 4034 §5.1.4)."""
        for path in (self.place / "keys").glob(f"K{TLD}.*"):
            text = path.read_text().replace(f"{TLD}. ", f"{origin}. ")
            if origin != TLD:
                path.with_name(path.name.replace(f"K{TLD}.", f"K{origin}.", 1)).write_text(text)
            if path.suffix == ".key":
                flags, protocol, algorithm, *key = next(line for line in text.splitlines() if " DNSKEY " in line).partition(" DNSKEY ")[2].split()
                data = struct.pack(">HBB", int(flags), int(protocol), int(algorithm)) + base64.b64decode("".join(key))
                tag = int(path.stem.rpartition("+")[2])
        digest = hashlib.sha256(wire(origin) + data).hexdigest()
        return f"{origin}. DS {tag} {algorithm} 2 {digest}"

    def delegation(self, origin):
        lines = [f"{origin}. NS {NS}\n"]
        if self.signings[origin] == "signed":
            lines.append(f"{self.ds[origin]}\n")
        if self.signings[origin] == "wrong-ds":
            lines.append(ds_of(self.place, keygen(self.place, origin, "-a", "ECDSAP256SHA256", "-f", "KSK")))
        return lines

    def file(self, origin):
        return self.place / f"{origin}.zone"

    def statement(self, origin):
        """What named.conf says of it."""
        signing = "" if self.signings[origin] == "unsigned" else f'dnssec-policy "lab"; key-directory "{self.place}/keys"; '
        return f'zone "{origin}" {{ type primary; file "{self.file(origin)}"; allow-update {{ key "update"; }}; {signing}}};\n'


def wire(name):
    """A name as octets (RFC 1035 §3.1)."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
