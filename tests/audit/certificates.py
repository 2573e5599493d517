"""The certificates of the laboratory, made with openssl: one authority, and one key for all servers.

All have the same key, so that a TLSA record of the key holds for each: what is wrong with a certificate is then the only fault.
"""

import hashlib
import subprocess
from datetime import datetime, timedelta, timezone

from bind import must

CONFIG = """
[ca]
default_ca = lab
[lab]
dir = {place}
database = {place}/index
serial = {place}/serial
new_certs_dir = {place}
certificate = {place}/ca.pem
private_key = {place}/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
"""
# From and to, in days from now.
VALID = (-30, 60)
KINDS = {
    "right": VALID,
    "expired": (-60, -1),
    "not-yet-valid": (2, 60),
    "expires-soon": (-80, 6),
    "wrong-name": VALID,
    "self-signed": VALID,
    # The certificate of another key.
    "mismatched": VALID,
}


class Certificates:
    """`names` are those of the right certificate, mail servers and web servers alike."""

    def __init__(self, place, names):
        self.place = place
        place.mkdir(mode=0o755)
        self.config = place / "openssl.conf"
        self.config.write_text(CONFIG.format(place=place))
        (place / "index").touch()
        (place / "serial").write_text("01\n")
        for key in ("ca.key", "server.key", "other.key"):
            must("openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", place / key)
        must("openssl", "req", "-new", "-x509", "-config", self.config, "-extensions", "authority", "-key", self.key("ca"), "-subj", "/CN=lab", "-days", "90", "-out", self.ca)
        for kind in KINDS:
            self.make(kind, ["elsewhere.test"] if kind == "wrong-name" else names)

    @property
    def ca(self):
        return self.place / "ca.pem"

    def key(self, name="server"):
        return self.place / f"{name}.key"

    def path(self, kind):
        return self.place / f"{kind}.pem"

    def make(self, kind, names):
        key = self.key("other" if kind == "mismatched" else "server")
        request = self.place / f"{kind}.csr"
        must("openssl", "req", "-new", "-config", self.config, "-key", key, "-subj", f"/CN={names[0]}", "-out", request)
        extensions = self.place / f"{kind}.conf"
        extensions.write_text(CONFIG.format(place=self.place) + f"subjectAltName = {','.join(f'DNS:{name}' for name in names)}\n")
        start, end = (time_of(days) for days in KINDS[kind])
        signer = ["-selfsign", "-keyfile", key] if kind == "self-signed" else []
        options = ["-config", extensions, "-extensions", "server", "-startdate", start, "-enddate", end, *signer]
        must("openssl", "ca", "-batch", "-notext", *options, "-in", request, "-out", self.path(kind))
        # The chain up to the authority, for TLSA records of that (RFC 7672 §3.1.2).
        if not signer:
            with open(self.path(kind), "a", encoding="ascii") as chain:
                chain.write(self.ca.read_text())

    def tlsa(self):
        """The data of a TLSA record 3 1 1: the digest of the server's key (RFC 6698 §2.1)."""
        return digest("pkey", "-in", self.key(), "-pubout", "-outform", "DER")

    def authority(self):
        """The data of a TLSA record 2 0 1: the digest of the authority's certificate."""
        return digest("x509", "-in", self.ca, "-outform", "DER")


def digest(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, timeout=60, check=True)
    return hashlib.sha256(done.stdout).hexdigest()


def time_of(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
