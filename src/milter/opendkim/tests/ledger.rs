//! Where we choose otherwise than OpenDKIM did: the scenario, how the case ends, and why.

/// Where we refuse what OpenDKIM does, and why. A case that no longer differs fails.
pub(super) const LEDGER: [(&str, &str, &str); 5] = [
    (
        "refile",
        "a@class.example",
        "brackets are no wildcard, but reach the regular expressions of the system",
    ),
    ("refile-all", "a@class.example", "the same"),
    (
        "keytable",
        "part@example.com",
        "x.% is no domain that anybody could verify",
    ),
    (
        "keytable",
        "pctsel@example.com",
        "% is no selector that anybody could verify",
    ),
    (
        "identity",
        "blank@example.com",
        "the script strips the blank of i=",
    ),
];

/// Where the rules of ours choose otherwise than OpenDKIM, and why. Each has its note in the import.
pub(super) const RULES_LEDGER: [(&str, &str, &str); 12] = [
    (
        "domain-sets",
        "u@x.mail.net",
        "no rule says which parent of an author matches a pattern",
    ),
    (
        "identity",
        "blank@example.com",
        "the script strips the blank of i=",
    ),
    (
        "identity-multiple",
        "first@example.com",
        "an identity without @ takes its own row out, and not all that match",
    ),
    ("identity-multiple", "last@example.com", "the same"),
    (
        "identity-multiple",
        "mid@example.com",
        "a key that is not there takes its own row out, and not all that match",
    ),
    (
        "keytable",
        "more@example.com",
        "the file is not there, with which the import ends",
    ),
    (
        "keytable",
        "part@example.com",
        "x.% is no domain that anybody could verify",
    ),
    (
        "keytable",
        "pctsel@example.com",
        "% is no selector that anybody could verify",
    ),
    (
        "refile",
        "a@class.example",
        "brackets are no wildcard, but reach the regular expressions of the system",
    ),
    ("refile-all", "a@class.example", "the same"),
    (
        "table-first",
        "v@example.com.",
        "no rule is for a domain with a final dot, which no From field has",
    ),
    ("table-all", "v@example.com.", "the same"),
];
