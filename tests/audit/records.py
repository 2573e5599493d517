"""The records of the laboratory: the right domain once for each case, with its change, and the world around them."""

import re
from collections import namedtuple

import layout
from layout import CLOSED, MAIL, PRIMARY, REVERSE4, REVERSE6, SILENT, SILENT_NS, TLD, WEB

# Right in everything. Names are relative to the domain of the case, or end with a dot.
RIGHT = """
    @ A {web4}
    @ AAAA {web6}
    @ MX 10 {mx}.
    @ TXT v=spf1 mx -all
    @ TXT site-verification=0123456789abcdef
    @ CAA 0 issue "ca.test"
    mx A {ip4}
    mx AAAA {ip6}
    mx TXT v=spf1 a -all
    mail._domainkey TXT v=DKIM1; k=rsa; p={rsa}
    ed._domainkey TXT v=DKIM1; k=ed25519; p={ed}
    _dmarc TXT v=DMARC1; p=reject; rua=mailto:dmarc@reports.test
    {domain}._report._dmarc.reports.test. TXT v=DMARC1
    _mta-sts TXT v=STSv1; id=20260101T000000
    mta-sts A {web4}
    mta-sts AAAA {web6}
    _smtp._tls TXT v=TLSRPTv1; rua=mailto:tls@reports.test
    _25._tcp.mx TLSA 3 1 1 {tlsa}
    default._bimi TXT v=BIMI1; l=https://mta-sts.{domain}/logo.svg; a=https://mta-sts.{domain}/logo.pem
"""
# For those with a server of their own.
OWN = """
    {ptr4} PTR {mx}.
    {ptr6} PTR {mx}.
"""
# The zones that are nobody's, each with its records; `*` is all that is not named.
WORLD = {
    TLD: "",
    REVERSE4: f"{layout.reverse(MAIL.ip4)}. PTR mx.right.test.",
    REVERSE6: f"{layout.reverse(MAIL.ip6)}. PTR mx.right.test.",
    f"ns.{TLD}": f"primary A {PRIMARY}\nsilent A {SILENT_NS}",
    # Whoever takes reports for others, and one that does not.
    f"reports.{TLD}": "@ MX 0 .",
    f"refused.{TLD}": "@ MX 0 .",
    # What SPF records lead to.
    f"other.{TLD}": "\n".join(
        [
            "_spf TXT v=spf1 ip4:55.25.3.0/24 -all",
            # A provider as the large ones are.
            "_spf.provider TXT v=spf1 ip4:55.24.0.0/14 ip6:2a12:3400::/28 -all",
            "nothing TXT no policy",
            *(f"chain{number} TXT v=spf1 include:chain{number + 1}.other.test -all" for number in range(1, 12)),
            "chain12 TXT v=spf1 -all",
            *(f"n{number} A 55.25.150.{number}" for number in range(1, 13)),
            *(f"many MX {number} n{number}.other.test." for number in range(1, 13)),
            "loop-a TXT v=spf1 include:loop-b.other.test -all",
            "loop-b TXT v=spf1 include:loop-a.other.test -all",
            "broken TXT v=spf1 ip4:55.25.0 -all",
            "lets-all TXT v=spf1 +all",
            "signed TXT v=DKIM1; k=rsa; p={rsa}",
            "mail A 55.25.150.100",
            # A bomb: each includes ten that include ten.
            *(f"bomb{level} TXT v=spf1 " + " ".join(f"include:b{number}.bomb{level + 1}.other.test" for number in range(10)) + " -all" for level in range(5)),
            *(f"*.bomb{level} TXT v=spf1 " + " ".join(f"include:b{number}.bomb{level + 1}.other.test" for number in range(10)) + " -all" for level in range(1, 5)),
        ]
    ),
    # Lists, each a part of one zone. Each has the entries by which one knows that it works (RFC 5782 §5), but for those that do not.
    f"lists.{TLD}": """
        2.0.0.127.bl A 127.0.0.2
        2.0.0.127.bl TXT test entry
        2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl A 127.0.0.2
        2.0.0.127.back A 127.0.0.2
        test.domains A 127.0.1.2
        *.refusing A 127.255.255.254
        *.refusing TXT https://lists.test/refused
        *.everything A 127.0.0.2
    """,
    f"asn.{TLD}": """
        *.1.25.55.origin TXT 64500 | 55.25.0.0/16 | DE | ripencc | 2020-01-01
        *.25.55.origin TXT 64500 | 55.25.0.0/16 | DE | ripencc | 2020-01-01
        *.6.5.4.3.2.1.a.2.origin6 TXT 64500 | 2a12:3456::/32 | DE | ripencc | 2020-01-01
        AS64500 TXT 64500 | DE | ripencc | 2020-01-01 | LAB, DE
    """,
}

LISTS = """
[[list]]
name = "Addresses"
zone = "bl.lists.test."
kind = "address"
families = ["ipv4", "ipv6"]
listed = { "127.0.0.2" = "direct spam source", "127.0.0.10-11" = "dynamic range" }
minor = { "127.0.0.20" = "neighbours of a spam source" }
refused = { "127.255.255.254" = "asked through a public resolver" }
removal = "https://lists.test/removal"

[[list]]
name = "Domains"
zone = "domains.lists.test."
kind = "domain"
listed = { "127.0.1.2" = "spam domain" }
refused = { "127.255.255.254" = "asked through a public resolver" }
removal = "https://lists.test/domains"

[[list]]
name = "Backscatterers"
zone = "back.lists.test."
kind = "backscatter"
families = ["ipv4"]
listed = { "127.0.0.2" = "sends bounces to strangers" }
refused = {}
removal = "https://lists.test/back"

[[list]]
name = "Not for public resolvers"
zone = "refusing.lists.test."
kind = "address"
families = ["ipv4", "ipv6"]
listed = { "127.0.0.2" = "spam source" }
refused = { "127.255.255.254" = "asked through a public resolver" }
removal = "https://lists.test/refusing"

[[list]]
name = "Closed"
zone = "closed.lists.test."
kind = "address"
families = ["ipv4", "ipv6"]
listed = { "127.0.0.2" = "spam source" }
refused = {}
removal = "https://lists.test/closed"

[[list]]
name = "Lists the world"
zone = "everything.lists.test."
kind = "address"
families = ["ipv4"]
listed = { "127.0.0.2" = "spam source" }
refused = {}
removal = "https://lists.test/everything"

[network]
ipv4 = "origin.asn.test."
ipv6 = "origin6.asn.test."
names = "asn.test."
"""
SILENT_LISTS = """\
[[list]]
name = "Silent"
zone = "lists.silent.test."
kind = "address"
families = ["ipv4", "ipv6"]
listed = { "127.0.0.2" = "spam source" }
refused = {}
removal = "https://lists.test/silent"

[network]
ipv4 = "origin.silent.test."
ipv6 = "origin6.silent.test."
names = "asn.silent.test."
"""

Record = namedtuple("Record", "name type value")


class Records:
    """All records, by the case whose they are; `facts` are what {rsa}, {ed}, {small}, {tlsa} and {authority} stand for."""

    def __init__(self, cases, facts):
        self.facts = facts
        self.of_case = {}
        self.world = [parse(line, origin, facts) for origin, text in WORLD.items() for line in lines(text)]
        for case in cases:
            self.of_case[case.name] = self.describe(case)

    def words(self, case):
        place = place_of(case)
        return {
            **self.facts,
            "domain": case.domain,
            "mx": case.mx,
            "ip4": place.ip4,
            "ip6": place.ip6,
            "web4": WEB.ip4,
            "web6": WEB.ip6,
            "silent4": SILENT.ip4,
            "silent6": SILENT.ip6,
            "closed4": CLOSED.ip4,
            "closed6": CLOSED.ip6,
            "ptr4": f"{layout.reverse(place.ip4)}.",
            "ptr6": f"{layout.reverse(place.ip6)}.",
            "list4": layout.listed(place.ip4),
            "list6": layout.listed(place.ip6),
        }

    def describe(self, case):
        words = self.words(case)
        records = [parse(line, case.domain, words) for line in lines(RIGHT + (OWN if case.own else ""))]
        for verb, text in case.changes:
            records = changed(records, verb, text, case.domain, words)
        return records

    def all(self):
        """Each record once."""
        return list(dict.fromkeys([*self.world, *(record for records in self.of_case.values() for record in records)]))


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def changed(records, verb, text, origin, words):
    """`add NAME TYPE VALUE`; `del NAME TYPE [VALUE]`; `set NAME TYPE VALUE`, in the place of all of that name and type."""
    if verb in ("del", "set"):
        name, kind, *value = text.split(None, 2)
        target = parse(f"{name} {kind} {''.join(value) or '-'}", origin, words)
        kept = [one for one in records if (one.name, one.type) != target[:2] or (verb == "del" and value and one.value != target.value)]
        if len(kept) == len(records):
            raise SystemExit(f"{origin}: nothing to take away with {verb}: {text}")
        records = kept
    if verb in ("add", "set"):
        records = [*records, parse(text, origin, words)]
    return records


def parse(line, origin, words):
    r"""NAME TYPE VALUE, with words in braces; a value may hold \xHH, and {text*N} for N times the text."""
    line = re.sub(r"\{([^{}*]+)\*(\d+)\}", lambda match: match[1] * int(match[2]), line)
    line = fill(line, words)
    name, kind, value = line.split(None, 2)
    value = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), value)
    return Record(absolute(name, origin), kind, value)


def fill(text, words):
    """Puts the words in the place of their names in braces; two braces are one."""
    return re.sub(r"\{\{|\}\}|\{(\w+)\}", lambda match: words[match[1]] if match[1] else match[0][0], text)


def absolute(name, origin):
    if name == "@":
        return f"{origin}."
    return (name if name.endswith(".") else f"{name}.{origin}.").lower()


def rdata(kind, value):
    """As a zone file and nsupdate have it. Texts are given as they are, and cut into strings of 255 bytes."""
    if kind not in ("TXT", "SPF"):
        return value
    data = value.encode("latin-1") if all(ord(one) < 256 for one in value) else value.encode()
    strings = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return " ".join('"' + "".join(quoted(byte) for byte in string) + '"' for string in strings)


def quoted(byte):
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03}"


def place_of(case):
    return layout.Place(layout.FIRST_OWN + case.number) if case.own else MAIL
