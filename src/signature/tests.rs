use super::*;

fn parse(value: &str) -> Result<Signature, SignatureError> {
    let parsed = Signature::parse(value.as_bytes(), SignatureLimits::default());
    parsed.map(|(s, _)| s).map_err(|r| r.error)
}

const GOOD: &str = "v=1; a=rsa-sha256; d=example.com; s=mail; h=from:to; bh=Zm9v; b=YmFy";

fn with(tags: &str) -> Result<Signature, SignatureError> {
    parse(&format!("{GOOD}; {tags}"))
}

fn instead(old: &str, new: &str) -> Result<Signature, SignatureError> {
    assert!(GOOD.contains(old));
    parse(&GOOD.replace(old, new))
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let signature = parse(GOOD).unwrap();
    assert_eq!(signature.canonicalization, Canonicalization::SIMPLE);
    assert_eq!(signature.body_limit, BodyLimit::Whole);
    assert_eq!(signature.identity, None);
    assert_eq!((signature.timestamp, signature.expiration), (None, None));
}

#[test]
fn what_parses_prints_and_parses_again() {
    for tags in [
        "c=relaxed",
        "c=simple/relaxed; t=1; x=2; l=0",
        "t=999999999999; l=18446744073709551615",
        "i=@mail.example.com",
        "i=a=3Db=20c@example.com; q=dns/foo : dns/txt; unknown=x; z=From:b=3D",
        "i=j\u{fc}rgen@example.com",
        "i==FF@example.com",
    ] {
        let signature = with(tags).unwrap();
        let field = signature.to_field();
        let value = field.strip_prefix("DKIM-Signature:").unwrap();
        assert_eq!(parse(value).unwrap(), signature, "{field}");
    }
    let idn = instead("d=example.com", "d=b\u{fc}cher.example").unwrap();
    assert_eq!(
        idn.key_name().unwrap().as_str(),
        "mail._domainkey.xn--bcher-kva.example."
    );
}

#[test]
fn bad_signatures_are_refused_with_the_cause() {
    use SignatureError as E;
    let missing = |tag| Err(E::MissingTag { tag });
    assert_eq!(instead("v=1; ", ""), missing("v"));
    assert_eq!(instead("; b=YmFy", ""), missing("b"));
    assert_eq!(instead("h=from:to", "h="), Err(E::EmptyTag { tag: "h" }));
    assert_eq!(instead("h=from:to", "h=to"), Err(E::FromNotSigned));
    let found = String::new();
    assert_eq!(
        instead("h=from:to", "h=from:"),
        Err(E::HeaderName { found })
    );
    let found = "1.0".to_owned();
    assert_eq!(instead("v=1", "v=1.0"), Err(E::Version { found }));
    let found = "rsa-sha512".to_owned();
    assert_eq!(
        instead("rsa-sha256", "rsa-sha512"),
        Err(E::Algorithm { found })
    );
    assert_eq!(instead("YmFy", "Ym!y"), Err(E::Base64 { tag: "b" }));
    assert_eq!(with("i=@fexample.com"), Err(E::IdentityNotInDomain));
    assert_eq!(with("i=@com"), Err(E::IdentityNotInDomain));
    for number in ["", "-1", "1.5", "0x1", "1 2", "\u{661}"] {
        for tag in ["l", "t", "x"] {
            let got = with(&format!("{tag}={number}"));
            assert!(matches!(got, Err(E::Number { .. })), "{tag}={number}");
        }
    }
    let (timestamp, expiration) = (UnixTime(5), UnixTime(5));
    assert_eq!(
        with("t=5; x=5"),
        Err(E::ExpirationBeforeTimestamp {
            timestamp,
            expiration
        })
    );
    let found = "http".to_owned();
    assert_eq!(with("q=http"), Err(E::QueryMethod { found }));
}

#[test]
fn numbers_of_any_length_do_not_wrap() {
    assert_eq!(
        with("x=9999999999999").unwrap().expiration,
        Some(UnixTime::INFINITE)
    );
    let long = "9".repeat(76);
    let limit = with(&format!("l={long}")).unwrap().body_limit;
    assert_eq!(limit, BodyLimit::Octets(u64::MAX));
    assert!(with(&format!("l=9{long}")).is_err());
}

#[test]
fn a_bad_signature_still_tells_what_it_claims() {
    let value = b"v=1; a=foo; d=example.com; s=mail; h=to; bh=Zm9v; b=YmFy";
    let rejected = Signature::parse(value, SignatureLimits::default()).unwrap_err();
    let domain = rejected.claims.domain.unwrap();
    assert_eq!(domain.as_str(), "example.com");
    assert_eq!(rejected.claims.algorithm, None);
    assert_eq!(rejected.claims.signed_headers.unwrap().len(), 1);
}
