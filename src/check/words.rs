//! The words of the findings.

/// Every word that a finding may have, with what it means, for documentation; the README shows this table.
pub const WORDS: [(&str, &str); 57] = [
    (
        "record-missing",
        "there is no TXT record at the name of the key",
    ),
    (
        "name-doubled",
        "the record stands at a name to which the panel has added the domain once more",
    ),
    ("not-a-key-record", "what stands there is something else"),
    ("wildcard-record", "a wildcard answers for the name"),
    ("several-records", "several key records stand at the name"),
    (
        "other-records",
        "other TXT records stand beside the key record",
    ),
    (
        "different-key",
        "the record holds another key than that which signs",
    ),
    ("key-revoked", "p= is empty"),
    (
        "key-still-published",
        "the key is withdrawn, but its record still offers it",
    ),
    (
        "quotes-in-record",
        "quotation marks were pasted into the record",
    ),
    (
        "backslash-in-record",
        "backslashes were pasted into the record",
    ),
    ("malformed-record", "the record is no list of tags"),
    ("version-not-first", "v=DKIM1 is not the first tag"),
    ("version-wrong", "v= is not DKIM1"),
    ("no-public-key", "there is no p="),
    ("bad-base64", "p= is not base64"),
    ("incomplete-key", "a part of p= is missing"),
    ("bad-key", "p= holds no key that can be used"),
    ("key-type-unknown", "k= is neither rsa nor ed25519"),
    ("hash-unusable", "h= does not allow sha256"),
    ("service-unusable", "s= does not allow the key for mail"),
    ("spaces-in-key", "there are blanks within p="),
    ("testing-flag", "t=y is set"),
    ("obsolete-tag", "g= is set"),
    (
        "bare-rsa-key",
        "p= holds an RSA key without its SubjectPublicKeyInfo",
    ),
    ("key-too-small", "an RSA key under 1024 bits"),
    ("small-key", "an RSA key under 2048 bits"),
    ("large-key", "an RSA key over 4096 bits"),
    ("exponent-even", "an RSA exponent that is even"),
    ("exponent-one", "the RSA exponent 1"),
    ("exponent-small", "an RSA exponent below 65537"),
    (
        "exponent-large",
        "an RSA exponent with which nobody verifies",
    ),
    ("modulus-even", "an RSA modulus that is even"),
    ("small-factor", "an RSA modulus with a small factor"),
    ("perfect-square", "an RSA modulus that is a square"),
    ("close-primes", "an RSA modulus that Fermat's method splits"),
    ("roca", "an RSA key of a faulty chip (CVE-2017-15361)"),
    ("small-order", "an Ed25519 key of small order"),
    ("known-private-key", "the private half is published"),
    ("blocklisted-key", "the key is on the list of `--blocklist`"),
    ("zone-missing", "the domain does not exist"),
    (
        "cname-to-nowhere",
        "a CNAME leads to where no record stands",
    ),
    ("cname-loop", "CNAMEs lead round in a circle"),
    (
        "name-servers-differ",
        "the name servers do not agree on who they are",
    ),
    ("server-out-of-step", "not all name servers say the same"),
    (
        "server-not-authoritative",
        "a name server does not speak for the zone",
    ),
    (
        "server-unreachable",
        "a name server gives no answer, or has no address",
    ),
    (
        "truncated-without-tcp",
        "the record needs TCP, which a name server does not answer",
    ),
    ("udp-unanswered", "a name server does not answer over UDP"),
    ("tcp-unanswered", "a name server does not answer over TCP"),
    (
        "resolver-out-of-step",
        "the resolver still has an older answer",
    ),
    (
        "resolver-failed",
        "the name servers answer, but the resolver does not",
    ),
    (
        "no-answer",
        "neither the resolver nor the name servers answer",
    ),
    ("dnssec-bogus", "the signatures of DNSSEC do not hold"),
    ("ttl-short", "the TTL is below a minute"),
    ("ttl-long", "the TTL is above a day"),
    (
        "key-file-open",
        "others can read the file of the private key, or write to it",
    ),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_readme_shows_the_table_of_words() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(path).unwrap();
        let rows = WORDS.map(|(word, meaning)| format!("| `{word}` | {meaning} |\n"));
        let table = format!("| word | meaning |\n|---|---|\n{}", rows.concat());
        assert!(
            readme.contains(&table),
            "the README should hold this table:\n\n{table}"
        );
    }

    #[test]
    fn every_word_is_used_in_the_code_and_each_once_in_the_table() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = [
            "check.rs",
            "check/servers.rs",
            "check/servers/reach.rs",
            "record/lint.rs",
            "key/weak.rs",
            "cli/check.rs",
        ];
        let read = |file| fs::read_to_string(source.join(file)).unwrap();
        let code: String = files.into_iter().map(read).collect();
        for (at, (word, _)) in WORDS.iter().enumerate() {
            assert!(code.contains(&format!("\"{word}\"")), "nothing says {word}");
            assert!(WORDS[..at].iter().all(|row| row.0 != *word), "{word} twice");
        }
    }
}
