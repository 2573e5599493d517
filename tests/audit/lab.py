"""The laboratory: a signed DNS, mail servers and a web server in a network namespace of their own.

    place = lab.enter()          # the program runs again inside a namespace, and goes on from here
    with lab.Lab(place) as audit:
        audit.update([("add", Record("new.right.test.", "TXT", "hello"))])

Nothing survives the program: see tests/shared/namespace.py.
"""

import base64
import re
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import bind
import cases as case_files
import layout
import mail
import namespace
import records
from background import Background
from bind import must, wait_until
from certificates import Certificates
from laboratory import Laboratory
from layout import CLOSED, MAIL, PRIMARY, RESOLVER, ROOT, SILENT, SILENT_NS, WEB
from records import Records, place_of
from web import Web
from zones import Zones

PROGRAMS = (
    *("named", "dig", "delv", "nsupdate", "rndc", "tsig-keygen", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey"),
    *("postfix", "openssl", "curl", "strace", "ip", "unshare"),
)
RESOLVER_OPTIONS = """dnssec-validation yes;
    recursion yes;
    querylog yes;
    max-cache-ttl 600;
    max-ncache-ttl 300;
    servfail-ttl 0;
    synth-from-dnssec no;"""


def enter(limit=None):
    """Runs this program again inside a namespace and ends with its exit code; there, returns the directory of the lab."""
    # Postfix works as a user of its own, and must get through to its directories.
    return namespace.enter("audit", lambda: namespace.find_for_postfix("audit", PROGRAMS), limit, mode=0o755)


class Lab(Laboratory):
    """All servers, from start to end, and what can be done to them; `chosen` are the names of the cases that are wanted, all if none."""

    def __init__(self, place, chosen=()):
        super().__init__(place)
        # The cases that are named, none if all are wanted.
        self.chosen = chosen
        self.cases = [case for case in case_files.load() if not chosen or case.name in (*chosen, "right")]
        self.background = Background()
        self.servers = {}
        self.fakes = {}

    def start(self):
        self.add_addresses()
        self.certificates = Certificates(self.place / "certificates", self.hosts())
        self.keys = self.place / "keys"
        self.write_keys()
        self.records = Records(self.cases, {"rsa": self.public("mail"), "ed": self.public("ed"), "small": self.public("small"), "tlsa": self.certificates.tlsa(), "authority": self.certificates.authority()})
        self.zones = Zones(self.place / "zones", self.cases, self.records)
        self.zones.write()
        self.lists = self.place / "lists.toml"
        self.lists.write_text(records.LISTS)
        self.silent_lists = self.place / "silent-lists.toml"
        self.silent_lists.write_text(records.SILENT_LISTS)
        self.start_names()
        self.start_mail()
        self.start_web()
        self.wait_for_names()

    def hosts(self):
        """The names of the right certificate."""
        return [name for case in self.cases for name in (case.domain, f"*.{case.domain}")]

    def add_addresses(self):
        places = [MAIL, WEB, SILENT, CLOSED, *(place_of(case) for case in self.cases if case.own)]
        script = "".join(f"address add {name} dev lo\n" for place in places for name in (f"{place.ip4}/32", f"{place.ip6}/128 nodad"))
        # Whatever goes there comes back to nobody, and is lost.
        script += f"route add {layout.NOWHERE} dev lo\n"
        script += "".join(f"address add {name}/32 dev lo\n" for name in (ROOT, PRIMARY, RESOLVER, SILENT_NS))
        for line in script.splitlines():
            must("ip", *line.split())

    def write_keys(self):
        for name, key in (("update", "update"), ("rndc", "rndc-key")):
            bind.tsig_keygen(self.place / f"{name}.key", key)
        self.keys.mkdir()
        for name, bits in (("mail", 2048), ("small", 1024)):
            must("openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", self.keys / f"{name}.pem")
        must("openssl", "genpkey", "-quiet", "-algorithm", "ED25519", "-out", self.keys / "ed.pem")

    def public(self, name):
        """The public half, as in p=."""
        argv = ["openssl", "pkey", "-in", self.keys / f"{name}.pem", "-pubout", "-outform", "DER"]
        der = subprocess.run(argv, capture_output=True, timeout=60, check=True).stdout
        # RFC 8463: an Ed25519 key stands in p= without what is around it.
        return base64.b64encode(der[-32:] if len(der) == 44 else der).decode()

    def start_names(self):
        zones = f'zone "." {{ type primary; file "{self.zones.place}/root.zone"; }};\n'
        self.running.append(bind.start_named(self.place, "root", ROOT, "recursion no;", zones))
        # The zones are to be wrong, so it does not look.
        options = "recursion no; check-names primary ignore; check-mx ignore; check-mx-cname ignore; check-integrity no;"
        self.running.append(bind.start_named(self.place, "primary", PRIMARY, options, self.primary_zones()))
        hints = f'include "{self.zones.place}/anchors.conf";\nzone "." {{ type hint; file "{self.zones.place}/root.hints"; }};\n'
        self.running.append(bind.start_named(self.place, "resolver", RESOLVER, RESOLVER_OPTIONS, hints))
        self.silent = [Silent(SILENT_NS, 53), *(Silent(address, port) for address in SILENT.both for port in (25, 443))]

    def primary_zones(self):
        statements = "".join(self.zones.statement(origin) for origin in self.zones.origins)
        return f'include "{self.zones.place}/policy.conf";\ninclude "{self.place}/update.key";\n{statements}'

    def wait_for_names(self):
        for origin in self.zones.origins:
            wait_until(f"the primary has {origin}", lambda: self.is_ready(origin), 60, self.processes())
        wait_until("the resolver answers", lambda: self.ask("test", "SOA").status == "NOERROR", 60, self.processes())

    def is_ready(self, origin):
        if self.zones.signings[origin] == "unsigned":
            return "aa" in bind.dig(PRIMARY, origin, "SOA", "+norecurse").flags
        # The last thing that the primary signs.
        return bool(bind.dig(PRIMARY, origin, "NSEC", "+norecurse").data("NSEC"))

    def start_mail(self):
        self.right = mail.shared(self, self.cases)
        self.servers = {case.name: mail.special(self, case) for case in self.cases if mail.is_special(case)}
        for case in self.cases:
            if case.fake:
                self.fakes[case.name] = mail.Fake(case)
                self.background.run(self.fakes[case.name].start())
        pattern = self.right.make_queue()
        # Each waits for two seconds.
        with ThreadPoolExecutor(max_workers=12) as pool:
            list(pool.map(lambda one: one.start(pattern), [self.right, *self.servers.values()]))

    def start_web(self):
        self.web = Web(self.certificates)
        for case in self.cases:
            self.web.serve(case.domain, case.web, self.policy(case))
        self.background.run(self.web.start())

    def policy(self, case, right=False):
        words = self.records.words(case)
        lines = ["version: STSv1", "mode: enforce", f"mx: {case.mx}", "max_age: 604800"]
        return "".join(f"{records.fill(line, words)}\r\n" for line in (not right and case.policy) or lines)

    def ask(self, name, kind, *options):
        """Asks the resolver."""
        return bind.dig(RESOLVER, name, kind, *options)

    def update(self, changes):
        """Adds and deletes records, each (verb, Record), in their zones; (done, what nsupdate said)."""
        changes = list(changes)
        by_zone = {}
        for verb, record in changes:
            origin = self.zones.zone_of(record.name, record.type)
            if origin is None:
                return False, f"no zone has {record.name}"
            # To delete without a value is to delete all of that type.
            data = records.rdata(record.type, record.value) if verb == "add" or record.value else ""
            ttl = "300 " if verb == "add" else ""
            by_zone.setdefault(origin, []).append(f"{verb} {record.name} {ttl}{record.type} {data}".rstrip())
        for origin, commands in by_zone.items():
            done, problem = bind.nsupdate(PRIMARY, origin, commands, self.place / "update.key")
            if not done:
                return False, f"{'; '.join(commands)}: {problem}"
        for _, record in changes:
            self.forget(record.name)
        return True, ""

    def forget(self, name):
        """Lets the resolver forget what stands at a name, beside it and below it, as far as its zone goes."""
        name = name.rstrip(".").lower()
        bind.rndc(self.place, RESOLVER, "flushtree", name if name in self.zones.origins else name.partition(".")[2])

    def delegate(self, case):
        """Gives the parent the DS record that belongs to the zone, in the place of what it has."""
        name = f"{case.domain}."
        data = self.zones.ds[case.domain].partition(" DS ")[2]
        return self.update([("delete", records.Record(name, "DS", "")), ("add", records.Record(name, "DS", data))])

    def sign(self, case):
        """Lets the primary sign a zone, as a hoster does, and delegates it."""
        self.zones.signings[case.domain] = "signed"
        conf = self.place / "primary/named.conf"
        text = conf.read_text()
        conf.write_text(re.sub(rf'zone "{re.escape(case.domain)}".*\n', self.zones.statement(case.domain), text))
        bind.rndc(self.place, PRIMARY, "reconfig")
        wait_until(f"{case.domain} is signed", lambda: self.is_ready(case.domain))
        return self.delegate(case)

    def case(self, name):
        return next(case for case in self.cases if case.name == name)

    def mend_server(self, case):
        """Does to the server of a case what its mend says; whatever else that says is not done here."""
        server = self.servers[case.name]
        for mend in case.mend:
            verb, _, rest = mend.partition(" ")
            if verb == "postfix":
                server.give(rest)
            elif verb == "certificate":
                server.show(rest)
        server.write()
        server.must("postfix", "reload")
        for address in place_of(case).both:
            wait_until(f"{case.name} greets at {address}", lambda: mail.greets(address), 60)

    def questions(self):
        """What the resolver has been asked: (name, type), in their order."""
        found = re.findall(r"query: (\S+) IN (\S+) ", (self.place / "resolver/log").read_text(errors="replace"))
        return [(name.lower(), kind) for name, kind in found]

    def environment(self):
        return {
            "AUDIT_DIR": str(self.place),
            "AUDIT_RESOLVER": RESOLVER,
            "AUDIT_PRIMARY": PRIMARY,
            "AUDIT_TRUST_ANCHOR": str(self.zones.place / "root.key"),
            "AUDIT_TRUST_ANCHOR_BIND": str(self.zones.place / "anchors.conf"),
            "AUDIT_CA": str(self.certificates.ca),
            "AUDIT_LISTS": str(self.lists),
            "AUDIT_TSIG_KEY": str(self.place / "update.key"),
        }

    def print_logs(self):
        for log in sorted(self.place.glob("**/log")):
            print(f"== {log.parent.name} ==\n{log.read_text(errors='replace')}")


class Silent:
    """Takes packets and connections, and says nothing."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sockets = [socket.socket(family, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
        self.sockets[1].listen(64)
        # Who connects is kept, so that the queue never fills.
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            self.taken.append(self.sockets[1].accept())
