"""Configurations of OpenDKIM with tables of a thousand domains, and messages for them.

Everything is drawn from a seed, so that each run is the same. Keys come from a small pool: what is compared is
who signs with which name, and a thousand keys would take minutes to make.
"""

import base64
import pathlib
import random
import subprocess

DOMAINS = 1000
MESSAGES = 200
KEYS = 20


class Pool:
    """Private keys, RSA-2048, that many files share."""

    def __init__(self):
        make = ["openssl", "genrsa", "-traditional", "2048"]
        self.keys = [subprocess.run(make, capture_output=True, check=True).stdout for _ in range(KEYS)]
        self.next = 0

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.take())
        path.chmod(0o600)
        return path

    def small(self):
        make = ["openssl", "genrsa", "-traditional", "1024"]
        return subprocess.run(make, capture_output=True, check=True).stdout

    def take(self):
        self.next += 1
        return self.keys[self.next % KEYS]

    def inline(self, key):
        """A key as it may stand in the table: DER in base64 (PKCS#1)."""
        der = ["openssl", "rsa", "-outform", "DER", "-traditional"]
        done = subprocess.run(der, input=key, capture_output=True, check=True)
        return base64.b64encode(done.stdout).decode()


class Setup:
    """The files of one configuration below a directory."""

    def __init__(self, where, port, seed, pool):
        self.where = pathlib.Path(where)
        self.pool = pool
        self.random = random.Random(seed)
        self.port = port
        self.conf = [
            "# Drawn from a seed",
            f"Socket inet:{port}@127.0.0.1",
            "Mode s",
            "RequireSafeKeys no",
        ]
        self.keys = []
        self.rows = []
        self.domains = [f"d{n}.example" for n in range(DOMAINS)]

    def key(self, name, domain, selector, path=None):
        """A row of the KeyTable, with its file."""
        path = path or self.pool.write(self.where / "keys" / domain / f"{selector}.pem")
        self.keys.append(f"{name} {domain}:{selector}:{path}")

    def write(self):
        conf = self.where / "opendkim.conf"
        conf.write_text("\n".join(self.conf) + "\n")
        if self.keys:
            (self.where / "KeyTable").write_text("\n".join(self.keys) + "\n")
            (self.where / "SigningTable").write_text("\n".join(self.rows) + "\n")
        return conf

    def users(self):
        return self.random.choice(["anna", "news", "First.Last", "u+tag", "NEWS", "x_y", "no-reply"])

    def authors(self, others):
        """The From fields of the messages: authors of the tables, in every form, and strangers."""
        fields = [f"From: {author}" for author in others]
        while len(fields) < MESSAGES:
            domain = self.random.choice(self.domains)
            user = self.users()
            form = self.random.randrange(10)
            if form < 5:
                fields.append(f"From: {user}@{domain}")
            elif form == 5:
                fields.append(f"From: {user}@mail.{domain}")
            elif form == 6:
                fields.append(f"From: {user}@A.B.{domain.upper()}")
            elif form == 7:
                fields.append(f'From: "{user}, of {domain}" <{user}@{domain}>')
            elif form == 8:
                fields.append(f"From: {user} <{user}@{domain}>")
            else:
                fields.append(f"From: {user}@stranger{self.random.randrange(9)}.test")
        return fields


def patterns(setup, multiple):
    """A SigningTable with patterns: the order of the file counts."""
    setup.conf += [
        f"KeyTable file:{setup.where}/KeyTable",
        f"SigningTable refile:{setup.where}/SigningTable",
        "Canonicalization relaxed/simple",
        "OversignHeaders From",
        f"MultipleSignatures {'yes' if multiple else 'no'}",
    ]
    late = []
    for n, domain in enumerate(setup.domains):
        setup.key(f"k{n}", domain, f"s{n % 3}")
        form = n % 10
        if form == 0:
            # A list of its own, with a key of its own.
            setup.key(f"news{n}", domain, "news")
            setup.rows.append(f"news@{domain} news{n}:news@%")
        if form == 1:
            late.append(f"*@*.{domain} k{n}:@%")
        if form == 2:
            setup.rows.append(f"*@*.{domain} k{n}:bounce@%")
        if form == 3:
            late.append(f"*{domain} k{n}")
            continue
        identity = ["", ":@%", ":@" + domain, "", ":me@%"][n % 5]
        setup.rows.append(f"*@{domain} k{n}{identity}")
    setup.rows += late
    # One row for many domains, each with a key of its own in a directory.
    for name in ["one", "two", "three"]:
        setup.pool.write(setup.where / "each" / f"{name}.group.test" / "own.pem")
    setup.keys.append(f"each %:own:{setup.where}/each/%/own.pem")
    setup.rows.append("*@*.group.test each:@%")
    setup.rows.append("*@one.group.test each")
    # One key for domains that nobody has listed.
    setup.keys.append(f"all %:all:{setup.pool.write(setup.where / 'all.pem')}")
    setup.rows.append("*@*.all.test all:list@%")
    # The domain of the author is the name of the key.
    setup.key("name.test", "name.test", "n")
    setup.key("b.name.test", "b.name.test", "n")
    setup.rows.append("*@*name.test %")
    setup.key("inline", "inline.test", "in", setup.pool.inline(setup.pool.small()))
    setup.key("long", "long.test", "in", setup.pool.inline(setup.pool.take()))
    setup.rows += ["*@inline.test inline", "*@long.test long"]
    # i= outside of d= is left out, and a key may sign for a stranger.
    setup.key("other", "other.test", "o")
    setup.rows.append("*@friend.test other:x@friend.test")
    # Rows that OpenDKIM takes for errors.
    setup.rows += ["*@missing.test nosuchkey", "*@word.test other:word", "(a|b)@class.test other"]
    if multiple:
        setup.key("third", "d7.example", "third")
        setup.key("fourth", "d7.example", "fourth")
        setup.rows += ["*@d7.example third", "*7.example fourth", "*@d4*.example other"]
    return setup.authors(
        [
            "a@one.group.test", "a@TWO.group.test", "b@three.group.test", "b@none.group.test",
            "a@x.all.test", "a@y.x.all.test", "a@name.test", "a@b.name.test", "a@c.name.test",
            "a@inline.test", "a@long.test", "a@friend.test", "a@missing.test", "a@word.test", "a@class.test",
            "news@d10.example", "News@d20.example", "a@d3.example", "a@sub.d3.example", "a@xd3.example",
            "a@d7.example", "a@d47.example", "a@d4.example", "a@d10.example, b@d20.example",
            "a@sub.d1.example", "a@sub.d2.example", "a@sub.d5.example",
        ]
    )


def table(setup, multiple):
    """A SigningTable without patterns: OpenDKIM looks up the address, the domain, its parents, and anybody."""
    setup.conf += [
        f"KeyTable file:{setup.where}/KeyTable",
        f"SigningTable file:{setup.where}/SigningTable",
        "SignHeaders *,+x-mailer,-cc",
        "SignatureTTL 1209600",
        f"MultipleSignatures {'yes' if multiple else 'no'}",
    ]
    for n, domain in enumerate(setup.domains):
        setup.key(f"k{n}", domain, "mail")
        identity = ["", ":@%", ":me@%"][n % 3]
        form = n % 6
        if form != 5:
            setup.rows.append(f"{domain} k{n}{identity}")
        if form == 1:
            setup.rows.append(f".{domain} k{n}:@%")
        if form == 2:
            setup.key(f"news{n}", domain, "news")
            setup.rows += [f"news@{domain} news{n}", f"news@.{domain} news{n}:@{domain}"]
        if form == 4:
            setup.key(f"mail.{domain}", f"mail.{domain}", "sub")
            setup.rows += [f"mail.{domain} %:@%", f".{domain} k{n}"]
    setup.key("any", "any.test", "any")
    setup.rows += ["no-reply@* any:@%", "anna@.example any", "*@star.test any", "x@missing.test nosuchkey"]
    # OpenDKIM asks for what is on top last.
    setup.rows.reverse()
    return setup.authors(
        [
            "news@d2.example", "NEWS@sub.d2.example", "a@d4.example", "a@mail.d4.example",
            "a@x.mail.d4.example", "a@d5.example", "anna@d5.example", "no-reply@far.test",
            "no-reply@d5.example", "a@star.test", "x@missing.test", "a@sub.d1.example", "anna@sub.d1.example",
        ]
    )


def anybody(setup, _multiple):
    """A SigningTable that ends with a row for everybody, by one key for all domains."""
    table(setup, False)
    setup.keys.append(f"all %:all:{setup.pool.write(setup.where / 'all.pem')}")
    setup.rows.insert(0, "* all")
    return setup.authors(["a@far.test", "x@missing.test", "a@d5.example", "a@sub.d5.example"])


def single(setup, _multiple):
    """One key for a thousand domains and what lies below them."""
    key = setup.pool.write(setup.where / "one.pem")
    (setup.where / "domains").write_text("\n".join(setup.domains + ["sub.d1.example", ".dot.test"]) + "\n")
    setup.conf += [
        f"Domain file:{setup.where}/domains",
        "SubDomains yes",
        "Selector one",
        f"KeyFile {key}",
        "OmitHeaders *,+subject",
    ]
    return setup.authors(["a@sub.d1.example", "a@x.sub.d1.example", "a@x.dot.test", "a@Sub.D2.Example"])


# A name, how it is made, and whether every match signs.
SETUPS = {
    "patterns": (patterns, False),
    "patterns-all": (patterns, True),
    "table": (table, False),
    "table-all": (table, True),
    "anybody": (anybody, False),
    "single": (single, False),
}
