//! The words of the findings.

use super::Grade::{self, Fail, Unknown, Warning};

/// Every word that a finding may have: the check that it belongs to (`*` for several), how bad it is, and what it means.
/// The README shows this table.
pub const WORDS: &[(&str, &str, Grade, &str)] = &[
    ("no-answer", "*", Unknown, "a question to DNS got no answer"),
    (
        "no-connection",
        "*",
        Unknown,
        "a server could not be talked to",
    ),
    (
        "no-authorities",
        "*",
        Unknown,
        "this machine has no list of authorities, so a certificate could not be judged",
    ),
    (
        "recipient-unclear",
        "*",
        Unknown,
        "the server does not say at once whether it takes a recipient",
    ),
    (
        "client-refused",
        "*",
        Unknown,
        "the server refuses this machine, so it could not be asked",
    ),
    (
        "no-sending-address",
        "*",
        Unknown,
        "no address is known that the domain sends from",
    ),
    (
        "ptr-missing",
        "reverse-dns",
        Fail,
        "a sending address has no PTR record",
    ),
    (
        "ptr-not-confirmed",
        "reverse-dns",
        Fail,
        "no name of a sending address leads back to it",
    ),
    (
        "ptr-generic",
        "reverse-dns",
        Warning,
        "the name of a sending address looks like that of a dial-up or a rented machine",
    ),
    (
        "ptr-not-greeting",
        "reverse-dns",
        Warning,
        "the server at a sending address greets with another name than its own",
    ),
    (
        "greeting-not-qualified",
        "greeting",
        Fail,
        "the server greets with a name that is not fully qualified",
    ),
    (
        "greeting-unresolvable",
        "greeting",
        Fail,
        "the name in the greeting has no address",
    ),
    (
        "greeting-not-leading-back",
        "greeting",
        Warning,
        "the name in the greeting leads to other addresses only",
    ),
    (
        "greeting-names-differ",
        "greeting",
        Warning,
        "banner and EHLO give different names",
    ),
    (
        "greeting-refused",
        "greeting",
        Fail,
        "the server greets with a refusal",
    ),
    ("not-smtp", "greeting", Fail, "what answers speaks no SMTP"),
    (
        "starttls-missing",
        "starttls",
        Fail,
        "the server offers no STARTTLS",
    ),
    (
        "starttls-broken",
        "starttls",
        Fail,
        "STARTTLS is offered and does not work",
    ),
    (
        "starttls-nothing-common",
        "starttls",
        Warning,
        "the server knows none of the TLS versions and cipher suites that this program knows",
    ),
    (
        "certificate-expired",
        "starttls",
        Fail,
        "the certificate has expired",
    ),
    (
        "certificate-not-yet-valid",
        "starttls",
        Fail,
        "the certificate is not valid yet",
    ),
    (
        "certificate-wrong-name",
        "starttls",
        Fail,
        "the certificate is for other names, while MTA-STS is enforced",
    ),
    (
        "certificate-other-name",
        "starttls",
        Warning,
        "the certificate is for other names",
    ),
    (
        "certificate-untrusted",
        "starttls",
        Fail,
        "nobody who is trusted has issued the certificate, while MTA-STS is enforced",
    ),
    (
        "certificate-unproven",
        "starttls",
        Warning,
        "nobody who is trusted has issued the certificate",
    ),
    (
        "certificate-expires-soon",
        "starttls",
        Warning,
        "the certificate expires within 14 days",
    ),
    (
        "mx-missing",
        "mx",
        Warning,
        "there is no MX record, only an address",
    ),
    (
        "mx-none",
        "mx",
        Fail,
        "there is neither an MX record nor an address",
    ),
    (
        "mx-null-not-alone",
        "mx",
        Fail,
        "a null MX stands beside others",
    ),
    (
        "mx-null-sends",
        "mx",
        Warning,
        "a domain that sends says with a null MX that it takes no mail",
    ),
    ("mx-unresolvable", "mx", Fail, "an MX host has no address"),
    ("mx-cname", "mx", Fail, "an MX host is a CNAME"),
    (
        "mx-address",
        "mx",
        Fail,
        "an MX record holds an address in place of a name",
    ),
    (
        "mx-private",
        "mx",
        Fail,
        "an MX host has an address that nobody outside can reach",
    ),
    ("spf-missing", "spf", Fail, "there is no SPF record"),
    ("spf-several", "spf", Fail, "there are several SPF records"),
    (
        "spf-syntax",
        "spf",
        Fail,
        "the SPF record, or one that it includes, cannot be read",
    ),
    (
        "spf-too-many-lookups",
        "spf",
        Fail,
        "the SPF record needs more than 10 lookups",
    ),
    (
        "spf-long",
        "spf",
        Warning,
        "the TXT records of the domain are too many for a datagram",
    ),
    (
        "spf-near-limit",
        "spf",
        Warning,
        "the SPF record needs 9 or 10 lookups",
    ),
    (
        "spf-too-many-voids",
        "spf",
        Fail,
        "more than 2 lookups of the SPF record find nothing",
    ),
    (
        "spf-void",
        "spf",
        Warning,
        "a lookup of the SPF record finds nothing",
    ),
    (
        "spf-include-missing",
        "spf",
        Fail,
        "a name that is included has no SPF record",
    ),
    ("spf-loop", "spf", Fail, "SPF records include each other"),
    (
        "spf-too-many-mx",
        "spf",
        Fail,
        "an mx mechanism leads to more than 10 hosts",
    ),
    ("spf-ptr", "spf", Warning, "the mechanism ptr is used"),
    (
        "spf-allows-all",
        "spf",
        Fail,
        "the SPF record lets everybody send",
    ),
    (
        "spf-wide",
        "spf",
        Warning,
        "the SPF record lets a very wide network send",
    ),
    (
        "spf-no-end",
        "spf",
        Warning,
        "the SPF record says nothing of all others",
    ),
    (
        "spf-after-all",
        "spf",
        Warning,
        "terms stand behind all and never count",
    ),
    (
        "spf-redirect-ignored",
        "spf",
        Warning,
        "redirect stands beside all and never counts",
    ),
    (
        "spf-unknown-modifier",
        "spf",
        Warning,
        "the SPF record has a modifier that nobody knows",
    ),
    (
        "spf-type99",
        "spf",
        Warning,
        "there is a record of the obsolete type SPF",
    ),
    (
        "spf-address-refused",
        "spf",
        Fail,
        "a sending address is not among those that SPF lets send",
    ),
    (
        "sender-id-obsolete",
        "sender-id",
        Warning,
        "there is a Sender ID record",
    ),
    (
        "dkim-no-key",
        "dkim",
        Fail,
        "a selector that is in use has no key",
    ),
    (
        "dkim-none-found",
        "dkim",
        Warning,
        "no key was found under the names that are often used",
    ),
    (
        "dkim-record-wrong",
        "dkim",
        Fail,
        "`check` finds an error in the record of a key",
    ),
    (
        "dkim-record-doubtful",
        "dkim",
        Warning,
        "`check` warns of the record of a key",
    ),
    (
        "domainkeys-policy",
        "domainkeys",
        Warning,
        "there is a policy record of DomainKeys",
    ),
    (
        "domainkeys-granularity",
        "domainkeys",
        Warning,
        "the record of a key has the tag g= of DomainKeys",
    ),
    ("dmarc-missing", "dmarc", Fail, "there is no DMARC record"),
    (
        "dmarc-several",
        "dmarc",
        Fail,
        "there are several DMARC records",
    ),
    (
        "dmarc-syntax",
        "dmarc",
        Fail,
        "the DMARC record cannot be read",
    ),
    (
        "dmarc-invalid-tag",
        "dmarc",
        Warning,
        "a tag of the DMARC record has a value that counts for nothing",
    ),
    (
        "dmarc-unknown-tag",
        "dmarc",
        Warning,
        "the DMARC record has a tag that nobody knows",
    ),
    (
        "dmarc-obsolete-tag",
        "dmarc",
        Warning,
        "the DMARC record has a tag that RFC 9989 has removed",
    ),
    (
        "dmarc-doubtful",
        "dmarc",
        Warning,
        "the DMARC record has something that others read differently",
    ),
    (
        "dmarc-policy-none",
        "dmarc",
        Warning,
        "the DMARC policy is none",
    ),
    (
        "dmarc-subdomain-policy-weaker",
        "dmarc",
        Warning,
        "the DMARC policy for subdomains is weaker",
    ),
    (
        "dmarc-testing",
        "dmarc",
        Warning,
        "the DMARC record has t=y",
    ),
    (
        "dmarc-psd",
        "dmarc",
        Warning,
        "the DMARC record calls the domain a public suffix",
    ),
    ("dmarc-no-reports", "dmarc", Warning, "nobody gets reports"),
    (
        "dmarc-destination-refused",
        "dmarc",
        Fail,
        "who is to get reports has not agreed to it",
    ),
    (
        "arc-no-key",
        "arc",
        Warning,
        "no key was found that could seal",
    ),
    (
        "mta-sts-missing",
        "mta-sts",
        Warning,
        "neither MTA-STS nor DANE protects mail on its way in",
    ),
    (
        "mta-sts-several",
        "mta-sts",
        Fail,
        "there are several MTA-STS records",
    ),
    (
        "mta-sts-syntax",
        "mta-sts",
        Fail,
        "the MTA-STS record cannot be read",
    ),
    (
        "mta-sts-unreachable",
        "mta-sts",
        Fail,
        "the policy of MTA-STS cannot be fetched",
    ),
    (
        "mta-sts-certificate",
        "mta-sts",
        Fail,
        "the certificate of the policy's host does not hold",
    ),
    (
        "mta-sts-redirect",
        "mta-sts",
        Fail,
        "the policy's host leads elsewhere",
    ),
    (
        "mta-sts-policy-syntax",
        "mta-sts",
        Fail,
        "the policy of MTA-STS cannot be read",
    ),
    (
        "mta-sts-policy-type",
        "mta-sts",
        Warning,
        "the policy of MTA-STS is not text/plain",
    ),
    (
        "mta-sts-mx-not-covered",
        "mta-sts",
        Fail,
        "the policy of MTA-STS leaves an MX host out",
    ),
    (
        "mta-sts-mx-left-out",
        "mta-sts",
        Warning,
        "the policy of MTA-STS, which is being tried, leaves an MX host out",
    ),
    (
        "mta-sts-mode-none",
        "mta-sts",
        Warning,
        "the policy of MTA-STS has the mode none",
    ),
    (
        "mta-sts-mode-testing",
        "mta-sts",
        Warning,
        "the policy of MTA-STS has the mode testing",
    ),
    (
        "mta-sts-short",
        "mta-sts",
        Warning,
        "the policy of MTA-STS is kept for less than a day",
    ),
    (
        "tls-rpt-missing",
        "tls-rpt",
        Warning,
        "nobody gets reports about TLS",
    ),
    (
        "tls-rpt-several",
        "tls-rpt",
        Fail,
        "there are several TLS-RPT records",
    ),
    (
        "tls-rpt-syntax",
        "tls-rpt",
        Fail,
        "the TLS-RPT record cannot be read",
    ),
    (
        "dane-insecure",
        "dane",
        Fail,
        "DNSSEC does not prove the TLSA records",
    ),
    (
        "dane-usage",
        "dane",
        Warning,
        "the TLSA records have a usage that does not count for mail",
    ),
    ("dane-syntax", "dane", Fail, "a TLSA record cannot be used"),
    (
        "dane-mismatch",
        "dane",
        Fail,
        "the server shows another certificate than the TLSA records",
    ),
    (
        "dane-partial",
        "dane",
        Warning,
        "some MX hosts have TLSA records, and some have none",
    ),
    (
        "bimi-several",
        "bimi",
        Fail,
        "there are several BIMI records",
    ),
    (
        "bimi-syntax",
        "bimi",
        Fail,
        "the BIMI record cannot be read",
    ),
    (
        "bimi-not-https",
        "bimi",
        Fail,
        "the BIMI record names a picture that is not under https",
    ),
    (
        "bimi-dmarc-weak",
        "bimi",
        Fail,
        "BIMI wants a DMARC policy of quarantine or reject",
    ),
    (
        "bimi-no-certificate",
        "bimi",
        Warning,
        "the BIMI record names no certificate of the mark",
    ),
    (
        "dnssec-unsigned",
        "dnssec",
        Warning,
        "the domain is not signed",
    ),
    (
        "dnssec-bogus",
        "dnssec",
        Fail,
        "the signatures of the domain do not hold",
    ),
    (
        "caa-forbids",
        "caa",
        Warning,
        "CAA lets nobody issue certificates for a host that needs one",
    ),
    (
        "caa-critical",
        "caa",
        Warning,
        "CAA has a critical property that nobody knows",
    ),
    (
        "listed-address",
        "block-lists",
        Fail,
        "a sending address is on a block list",
    ),
    (
        "listed-domain",
        "block-lists",
        Fail,
        "the domain is on a block list",
    ),
    (
        "listed-backscatter",
        "block-lists",
        Warning,
        "a sending address is on a list of those who bounce mail to strangers",
    ),
    (
        "listed-minor",
        "block-lists",
        Warning,
        "a sending address or the domain is on a list that few receivers go by",
    ),
    (
        "lists-silent",
        "block-lists",
        Unknown,
        "no block list answers",
    ),
    (
        "address-not-announced",
        "network",
        Warning,
        "a sending address is in no network that is announced",
    ),
    (
        "relay-open",
        "open-relay",
        Fail,
        "the server relays mail of strangers to strangers",
    ),
    (
        "unknown-recipient-accepted",
        "backscatter",
        Warning,
        "the server takes mail for recipients that it does not have",
    ),
    (
        "postmaster-refused",
        "role-addresses",
        Fail,
        "the server takes no mail for postmaster",
    ),
    (
        "abuse-refused",
        "role-addresses",
        Warning,
        "the server takes no mail for abuse",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_readme_shows_the_table_of_words() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(path).unwrap();
        let row = |(word, check, grade, meaning): &(&str, &str, Grade, &str)| {
            format!("| `{word}` | {check} | {} | {meaning} |\n", grade.as_str())
        };
        let rows: String = WORDS.iter().map(row).collect();
        let table = format!("| word | check | result | meaning |\n|---|---|---|---|\n{rows}");
        assert!(
            readme.contains(&table),
            "the README should hold this table:\n\n{table}"
        );
    }

    #[test]
    fn each_word_stands_once() {
        let words: HashSet<&str> = WORDS.iter().map(|row| row.0).collect();
        assert_eq!(words.len(), WORDS.len());
    }
}
