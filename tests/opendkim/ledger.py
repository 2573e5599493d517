"""Where an imported configuration signs otherwise than OpenDKIM did, and why.

Each row explains the differences of one kind: the configuration, a part of the From field, what the two answers
look like, and why. `compare` fails for a difference that no row explains, and for a row that explains none.
"""


def unsigned(theirs, ours):
    """OpenDKIM answers with an error; here the message goes its way unsigned."""
    return isinstance(theirs, str) and ours == []


def by_another(theirs, ours):
    """OpenDKIM answers with an error; here another row signs."""
    return isinstance(theirs, str) and len(ours) == 1


def only_theirs(theirs, ours):
    return len(theirs) == 1 and ours == []


def middle(theirs, ours):
    """OpenDKIM makes the first and the last signature of all that match."""
    return len(theirs) == 2 and len(ours) > 2 and sorted([ours[0], ours[-1]]) == sorted(theirs)


def twice(theirs, ours):
    """OpenDKIM signs twice with one key, with another i=."""
    return len(theirs) == 2 and len(ours) == 1 and ours[0] in theirs and theirs[0][:2] == theirs[1][:2]


MISSING = "the row names a key that is not there: the import says so, and leaves the row out"
REGULAR = "brackets reach the regular expressions of OpenDKIM, which only * is meant to do: the import says so"
LONG = "OpenDKIM cuts a row of a file after 1,023 bytes, so that an RSA-2048 key in the table is broken"
NAME = "no key has the name of this domain: OpenDKIM defers the message, here no rule matches"
FILE = "there is no key file for the domain of the author: OpenDKIM defers, here nobody signs for a domain without a key"
MIDDLE = "OpenDKIM 2.11 makes the first and the last of all signatures that match, here all are made"

LEDGER = [
    (setup, part, what, why)
    for setup in ["patterns", "patterns-all"]
    for part, what, why in [
        ("a@missing.test", unsigned, MISSING),
        ("a@class.test", only_theirs, REGULAR),
        ("a@long.test", by_another, LONG),
        ("a@c.name.test", unsigned, NAME),
        ("b@none.group.test", unsigned, FILE),
    ]
] + [
    ("table", "x@missing.test", unsigned, MISSING),
    ("table-all", "x@missing.test", unsigned, MISSING),
    ("anybody", "x@missing.test", by_another, MISSING + "; the row for everybody signs"),
    ("patterns-all", "@one.group.test", twice, "two rows name one key: one signature is made with it"),
    ("patterns-all", "7.example", middle, MIDDLE),
    ("patterns-all", "news@d410.example", middle, MIDDLE),
    ("table-all", "@mail.d", middle, MIDDLE),
]
