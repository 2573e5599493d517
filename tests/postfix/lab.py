"""The laboratory: two real Postfix instances with their milters, name server and sinks, in a network namespace.

    place = lab.enter()          # the program runs again inside a namespace, and goes on from here
    with lab.Lab(place, "dkimkit") as mail:
        mail.submission("anna").send(…)

Nothing survives the program: see tests/shared/namespace.py.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import layout
import milter
import namespace
import postfix
from background import Background
from client import Client
from layout import ADDRESSES, PASSWORDS
from nameserver import Dns
from sink import Sink
from verifiers import Verifiers
from wire import Probe, Spy

PROGRAMS = ("postfix", "postqueue", "sendmail", "saslpasswd2", "opendkim", "miltertest", "perl", "ip", "unshare")


def enter(limit=None):
    """Runs this program again inside a namespace and ends with its exit code; there, returns the directory of the lab."""
    # Postfix works as a user of its own, and must get through to its directories.
    place = namespace.enter("postfix", lambda: namespace.find_for_postfix("postfix", PROGRAMS), limit, mode=0o755)
    for address in ADDRESSES.values():
        # Postfix wants to see its own address on an interface.
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    return place


class Lab:
    """All servers, from start to end."""

    def __init__(self, place, kind, dkimkit):
        self.place = place
        self.kind = milter.KINDS[kind]
        self.dkimkit = dkimkit
        self.background = Background()
        self.dns = Dns(ADDRESSES["dns"])
        self.sinks = {name: Sink(ADDRESSES[name], extensions=extensions) for name, extensions in layout.SINKS.items()}
        self.verifiers = Verifiers(place, dkimkit, self.dns)
        self.number = 0
        self.full = False

    @property
    def ours(self):
        return self.kind is milter.Dkimkit

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        """Nothing has to be stopped: all of it ends with the namespace."""

    def start(self):
        for server in (self.dns, *self.sinks.values()):
            self.background.run(server.start())
        self.keys = layout.make_keys(self.place / "keys", self.dkimkit, self.dns)
        self.start_milters()
        self.start_postfix()

    def start_milters(self):
        self.milters, self.spies = {}, {}
        for name, tables in layout.milters(self.keys).items():
            one = self.kind(self.place, name, layout.milter_address(self.place, name), ADDRESSES["dns"], tables=tables)
            if self.ours:
                one.program = self.dkimkit.path
            one.start()
            self.milters[name] = one
            self.spies[name] = Spy(ADDRESSES["spy"], layout.SPY_PORTS[name], to=one.address)
            self.background.run(self.spies[name].start())
        self.probe = Probe(ADDRESSES["spy"], layout.PROBE_PORT)
        self.background.run(self.probe.start())

    def start_postfix(self):
        layout.write_sasl(self.place)
        self.submit = postfix.Postfix(self.place, "submit", *layout.submit(self.place, self.milters))
        self.mx = postfix.Postfix(self.place, "mx", *layout.mx(self.place, self.milters))
        with ThreadPoolExecutor() as pool:
            list(pool.map(postfix.Postfix.start, (self.submit, self.mx)))

    def print_logs(self):
        for log in sorted(self.place.glob("*/log")):
            print(f"== {log.parent.name} ==\n{log.read_text(errors='replace')}")

    def fresh(self, what="m", domain="sink.test"):
        """A recipient that nobody has written to yet."""
        self.number += 1
        return f"{what}-{self.number}@{domain}"

    def submission(self, user=None, port=587):
        """A client at port 587, logged in."""
        client = Client(ADDRESSES["submit"], port, source=ADDRESSES["outsider"])
        if user:
            reply = client.login(user, PASSWORDS[user])
            if reply[:3] != "235":
                raise SystemExit(f"no login for {user}: {reply}")
        return client

    def relay(self, port=25, source="insider"):
        """A client of the sending Postfix, within its network or without."""
        return Client(ADDRESSES["submit"], port, source=ADDRESSES[source])

    def incoming(self, port=25):
        """A client of the receiving Postfix, from somewhere."""
        return Client(ADDRESSES["mx"], port, source=ADDRESSES["outsider"])

    def troubles(self):
        return [f"{one.name}: {line}" for one in (self.submit, self.mx) for line in one.troubles()]
