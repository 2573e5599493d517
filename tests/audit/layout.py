"""Who is where: addresses and names of the laboratory."""

import ipaddress

TLD = "test"

# Whom the audit talks to has to look public; its own resolver, and the root that this asks, need not.
ROOT = "127.54.0.1"
PRIMARY = "55.25.254.2"
RESOLVER = "127.54.0.5"
SILENT_NS = "55.25.254.7"

# Whoever has these outside: nothing of it is reached from within the namespace.
NETWORK4 = ipaddress.ip_network("55.25.0.0/16")
NETWORK6 = ipaddress.ip_network("2a12:3456::/32")
REVERSE4 = "25.55.in-addr.arpa"
REVERSE6 = "6.5.4.3.2.1.a.2.ip6.arpa"
# Packets to these are lost: connections are neither taken nor refused.
NOWHERE = "55.25.200.0/24"


class Place:
    """An IPv4 and an IPv6 address that belong together."""

    def __init__(self, number):
        self.ip4 = str(NETWORK4[number])
        self.ip6 = str(NETWORK6[number])

    @property
    def both(self):
        return (self.ip4, self.ip6)


# The server of all domains whose fault is elsewhere, and the web server of all policies.
MAIL = Place(0x0019)
WEB = Place(0x0050)
# A server that takes connections and says nothing, ports that are closed.
SILENT = Place(0x0063)
CLOSED = Place(0x0064)
# Servers of their own begin here.
FIRST_OWN = 0x0100


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer


def listed(address):
    """The address as a label of a list."""
    return reverse(address).rsplit(".", 2)[0]


def bracketed(address):
    """As Postfix has addresses in master.cf."""
    return f"[{address}]" if ":" in address else address
