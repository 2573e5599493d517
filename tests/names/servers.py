"""The servers of the laboratory: what each is told, and its process."""

import subprocess
import time

ADDRESSES = {
    "root": "127.53.0.1",
    "primary": "127.53.0.2",
    "secondary": "127.53.0.3",
    "nsd": "127.53.0.4",
    "resolver": "127.53.0.5",
    "relay": "127.53.0.6",
    "silent": "127.53.0.7",
    "lame": "127.53.0.8",
    "closed": "127.53.0.9",
}
# To whom NS records may point.
NAMES = {name: address for name, address in ADDRESSES.items() if name != "resolver"}

# named keeps nothing outside its directory, and reaches nobody outside the lab.
OPTIONS = """
options {{
    directory "{place}";
    pid-file none;
    lock-file none;
    session-keyfile none;
    listen-on port 53 {{ {listen}; }};
    listen-on-v6 {{ none; }};
    allow-query {{ 127.0.0.0/8; }};
    allow-transfer {{ 127.0.0.0/8; }};
    empty-zones-enable no;
    notify no;
    notify-delay 0;
    transfers-in 50;
    transfers-per-ns 50;
    serial-query-rate 200;
    {more}
}};
include "{lab}/rndc.key";
controls {{ inet {address} port 953 allow {{ 127.0.0.0/8; }} keys {{ "rndc-key"; }}; }};
"""

RESOLVER = """dnssec-validation yes;
    recursion yes;
    max-cache-ttl 600;
    max-ncache-ttl 300;
    servfail-ttl 0;"""

NSD = """
server:
    ip-address: {address}
    port: 53
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{place}"
    database: ""
    pidfile: ""
    logfile: "{place}/log"
    xfrdir: "{place}"
    xfrdfile: "{place}/xfrd.state"
    zonelistfile: "{place}/zone.list"
    xfrd-reload-timeout: 0
    rrl-ratelimit: 0
    ipv4-edns-size: 512
    hide-version: yes
remote-control:
    control-enable: no
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


def start_root(lab):
    """The root and test.; the same process refuses all at the address of the lame server."""
    zones = "".join(f'zone "{origin}" {{ type primary; file "{lab / "zones" / file}"; }};' for origin, file in ((".", "root.zone"), ("test", "test.zone")))
    views = (
        f'view "root" {{ match-destinations {{ {ADDRESSES["root"]}; }}; {zones} }};\n'
        f'view "lame" {{ match-destinations {{ {ADDRESSES["lame"]}; }}; }};\n'
    )
    return start_named(lab, "root", "recursion no;", views, listen=f"{ADDRESSES['root']}; {ADDRESSES['lame']}")


def start_primary(lab, zones):
    parts = [f'include "{lab}/zones/policy.conf";\ninclude "{lab}/update.key";\n']
    for zone in zones:
        if zone.is_at("primary"):
            more = ""
            if zone.dynamic:
                more += 'allow-update { key "update"; }; '
            if zone.dynamic and zone.is_at("nsd"):
                more += f"notify explicit; also-notify {{ {ADDRESSES['nsd']}; }}; "
            if zone.sign == "policy":
                more += f'dnssec-policy "lab"; key-directory "{lab}/zones/keys"; '
            parts.append(f'zone "{zone.origin}" {{ type primary; file "{zone.file}"; {more}}};\n')
    return start_named(lab, "primary", "recursion no;", "".join(parts))


def start_secondary(lab, zones):
    """It takes each zone at its start, and from then on hears of nothing until it is told to."""
    zones = "".join(
        f'zone "{zone.origin}" {{ type secondary; primaries {{ {ADDRESSES["primary"]}; }}; file "{zone.name}.zone"; allow-notify {{ none; }}; }};\n'
        for zone in zones
        if zone.is_at("secondary")
    )
    return start_named(lab, "secondary", "recursion no;", zones)


def start_resolver(lab):
    hints = f'include "{lab}/zones/anchors.conf";\nzone "." {{ type hint; file "{lab}/zones/root.hints"; }};\n'
    return start_named(lab, "resolver", RESOLVER, hints)


def start_named(lab, name, options, zones, listen=None):
    place = lab / name
    place.mkdir()
    address = ADDRESSES[name]
    conf = place / "named.conf"
    conf.write_text(OPTIONS.format(place=place, lab=lab, address=address, listen=listen or address, more=options) + zones)
    return Process(["named", "-g", "-n", "1", "-c", conf], place / "log")


def start_nsd(lab, zones):
    """It reads zone files, and takes those that change from the primary."""
    place = lab / "nsd"
    place.mkdir()
    text = NSD.format(place=place, address=ADDRESSES["nsd"])
    for zone in zones:
        if zone.is_at("nsd"):
            text += f'zone:\n    name: "{zone.origin}"\n'
            if zone.dynamic:
                text += f'    zonefile: "{zone.name}.zone"\n    request-xfr: {ADDRESSES["primary"]} NOKEY\n    allow-notify: 127.0.0.0/8 NOKEY\n'
            else:
                text += f'    zonefile: "{zone.file}"\n'
    conf = place / "nsd.conf"
    conf.write_text(text)
    return Process(["nsd", "-d", "-c", conf], place / "log")


def wait_until(what, holds, seconds=20, processes=()):
    """Polls until `holds()` is true, and gives up after some seconds."""
    end = time.monotonic() + seconds
    while not holds():
        for process in processes:
            process.require_alive()
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain: {what}")
        time.sleep(0.05)
