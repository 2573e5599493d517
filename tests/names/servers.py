"""The servers of the laboratory: what each is told, and its process."""

import bind
from bind import Process

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
    return bind.start_named(lab, name, ADDRESSES[name], options, zones, listen)


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
