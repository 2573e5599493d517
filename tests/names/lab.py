"""The laboratory: real name servers in a network namespace of their own, on port 53 of addresses in 127.0.0.0/8.

    place = lab.enter()          # the program runs again inside a namespace, and goes on from here
    with lab.Lab(place) as names:
        names.update("live", "add mail._domainkey 300 TXT \\"v=DKIM1; p=\\"")

Nothing survives the program: see tests/shared/namespace.py.
"""

import os

import bind
import namespace
import servers
import zones as zone_files
from bind import must, wait_until
from laboratory import Laboratory
from relay import Relay, Silent
from servers import ADDRESSES

PROGRAMS = ("named", "nsd", "dig", "delv", "nsupdate", "rndc", "tsig-keygen", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey", "openssl", "ip", "unshare")


def enter(limit=None):
    """Runs this program again inside a namespace and ends with its exit code; there, returns the directory of the lab."""
    return namespace.enter("names", lambda: namespace.find("names", PROGRAMS), limit)


def dig(server, name, kind="TXT", *options):
    """Asks a server, by its name in the lab or its address, once; for recursion, the resolver alone."""
    recurse = "+recurse" if server == "resolver" else "+norecurse"
    return bind.dig(ADDRESSES.get(server, server), name, kind, recurse, *options)


def serial(server, origin):
    """The serial of a zone at a server, None where it does not answer with authority."""
    answer = dig(server, origin, "SOA", "+time=1")
    data = answer.data("SOA") if "aa" in answer.flags else []
    return int(data[0].split()[2]) if data else None


class Lab(Laboratory):
    """All servers, from start to end, and what can be done to them."""

    def __init__(self, place):
        super().__init__(place)
        self.zones = zone_files.load()
        # The zones that `check` is asked for; all, if none.
        self.chosen = []

    def start(self):
        must("ip", "link", "set", "lo", "up")
        for address in ADDRESSES.values():
            must("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.write_keys()
        for zone in self.zones:
            zone_files.renew(zone, self.key)
        (self.place / "zones").mkdir()
        zone_files.write(self.zones, self.place / "zones", servers.NAMES)

        self.running += [servers.start_root(self.place), servers.start_primary(self.place, self.zones)]
        self.running += [Relay(ADDRESSES["relay"], ADDRESSES["nsd"]), Silent(ADDRESSES["silent"])]
        self.wait_for("root", ["test"])
        self.wait_for("primary")
        # The followers come after what they follow, and need not try twice.
        self.running += [servers.start_secondary(self.place, self.zones), servers.start_nsd(self.place, self.zones), servers.start_resolver(self.place)]
        self.wait_for("secondary")
        self.wait_for("nsd")
        wait_until("the resolver answers", lambda: dig("resolver", "test", "SOA").status == "NOERROR", processes=self.processes())
        self.age()

    def write_keys(self):
        """The TSIG keys; and new keys in place of those that the zone files hold, which everybody knows."""
        for name, key in (("update", "update"), ("wrong", "update"), ("stranger", "stranger"), ("rndc", "rndc-key")):
            bind.tsig_keygen(self.place / f"{name}.key", key)
        (self.place / "keys").mkdir()
        for name, options in zone_files.GENERATED.items():
            must("openssl", "genpkey", "-quiet", *options, "-out", self.key(name))
            self.key(name).chmod(0o600)

    def age(self):
        """Lets zones come to the state that their headers describe: first into the cache, then the updates."""
        for zone in self.zones:
            if zone.ask_first:
                name, kind = zone.ask_first
                dig("resolver", f"{name}.{zone.origin}", kind)
            if zone.updates:
                self.update(zone.name, *zone.updates)

    def wait_for(self, server, origins=None):
        """Waits until a server has all its zones, and those that the primary signs are signed."""
        for zone in self.zones if origins is None else []:
            if zone.is_at(server):
                wait_until(f"{server} has {zone.origin}", lambda: self.has(server, zone), processes=self.processes())
        for origin in origins or []:
            wait_until(f"{server} has {origin}", lambda: serial(server, origin) is not None, processes=self.processes())

    @staticmethod
    def has(server, zone):
        if zone.sign == "policy":
            # The last thing that the primary signs, and what the follower must have got.
            signed = dig(server, zone.origin, "SOA", "+dnssec").data("RRSIG") and dig(server, zone.origin, "NSEC").data("NSEC")
            return bool(signed) and serial(server, zone.origin) == serial("primary", zone.origin)
        return serial(server, zone.origin) is not None

    def environment(self):
        """What a command in the lab has to know."""
        addresses = {f"NAMES_{name.upper()}": address for name, address in ADDRESSES.items()}
        files = {
            "NAMES_DIR": self.place,
            "NAMES_KEYS": self.place / "keys",
            "NAMES_TSIG_KEY": self.place / "update.key",
            "NAMES_WRONG_TSIG_KEY": self.place / "wrong.key",
            "NAMES_STRANGER_TSIG_KEY": self.place / "stranger.key",
            "NAMES_TRUST_ANCHOR": self.place / "zones/root.ds",
            "NAMES_TRUST_ANCHOR_DNSKEY": self.place / "zones/root.key",
            "NAMES_TRUST_ANCHOR_BIND": self.place / "zones/anchors.conf",
            "NAMES_ROOT_HINTS": self.place / "zones/root.hints",
        }
        return {**os.environ, **addresses, **{name: str(path) for name, path in files.items()}}

    def zone(self, name):
        return next(zone for zone in self.zones if zone.name == name)

    def key(self, name):
        """The private key of that name, in a file that only its owner can read."""
        return self.place / "keys" / f"{name}.pem"

    def nsupdate(self, zone, *commands, key="update"):
        """(done, what nsupdate said); `key` names a TSIG key or is None; names are relative to the zone."""
        origin = f"{zone}.test."
        changes = []
        for command in commands:
            verb, name, rest = command.split(None, 2)
            changes.append(f"{verb} {origin if name == '@' else f'{name}.{origin}'} {rest}")
        return bind.nsupdate(ADDRESSES["primary"], origin, changes, key and self.place / f"{key}.key")

    def update(self, zone, *commands):
        """Changes a dynamic zone at the primary, and waits for nsd, which follows it at once."""
        done, problem = self.nsupdate(zone, *commands)
        if not done:
            raise SystemExit(f"update of {zone}.test: {problem}")
        if self.zone(zone).is_at("nsd"):
            self.wait_for_serial("nsd", f"{zone}.test")

    def catch_up(self, zone):
        """Lets the secondary take what the primary has now."""
        self.rndc("secondary", "retransfer", f"{zone}.test")
        self.wait_for_serial("secondary", f"{zone}.test")

    def wait_for_serial(self, server, origin):
        """Waits until a server has what the primary has now, or later data."""
        now = serial("primary", origin)
        wait_until(f"{server} has the serial of {origin}", lambda: (serial(server, origin) or 0) >= now, processes=self.processes())

    def flush(self):
        """Empties the cache of the resolver."""
        self.rndc("resolver", "flush")

    def rndc(self, server, *command):
        return bind.rndc(self.place, ADDRESSES[server], *command)
