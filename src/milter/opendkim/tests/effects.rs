//! Every option that is said to be honoured changes the configuration, or the keys.

use super::*;

/// Options and values that change what comes of `TABLES`.
const VALUES: [(&str, &str); 48] = [
    ("AuthservID", "mx.example.com"),
    ("BaseDirectory", "/base"),
    ("Canonicalization", "relaxed"),
    ("ClockDrift", "60"),
    ("DNSTimeout", "010"),
    ("ExternalIgnoreList", "192.0.2.1"),
    ("Include", "/other"),
    ("InternalHosts", "csl:[2001:db8::]/32,!2001:db8::1"),
    ("KeyTable", "csl:k=example.com:t:/k.pem"),
    ("LogWhy", "yes"),
    ("MacroList", "daemon_name=A|B,auth_type"),
    ("MaximumSignaturesToVerify", "3"),
    ("MinimumKeyBits", "2048"),
    ("Mode", "s"),
    ("MTA", "MSA"),
    ("MultipleSignatures", "yes"),
    ("Nameservers", "127.0.0.1, ::1"),
    ("OmitHeaders", "*,+subject"),
    ("On-BadSignature", "reject"),
    ("On-Default", "q"),
    ("On-DNSError", "accept"),
    ("On-KeyNotFound", "T"),
    ("On-NoSignature", "discard"),
    ("On-Security", "reject"),
    ("On-SignatureError", "accept"),
    ("OversignHeaders", "From,To"),
    ("PeerList", "192.0.2.1,.example.org"),
    ("Quarantine", "yes"),
    ("RemoveARFrom", "mx.example.org"),
    ("SenderHeaders", "Sender,From"),
    ("SignatureTTL", "0x100"),
    ("SignHeaders", "*,+X-Mailer,-Cc"),
    ("SigningTable", "csl:.example.com=k"),
    ("Socket", "local:/run/x.sock"),
    ("Syslog", "yes"),
    ("UMask", "0117"),
    ("UserID", "opendkim:mail"),
    // Those that are not honoured, and some values that cannot be, leave something that can be read.
    ("AuthservID", "a b"),
    ("ClockDrift", "-1"),
    ("Nameservers", "localhost,1.1.1.1,1.0.0.1,8.8.8.8,9.9.9.9"),
    ("OmitHeaders", "from,bad name,."),
    ("OversignHeaders", "bcc,\u{fc}"),
    ("SenderHeaders", "*,+From"),
    ("SignHeaders", "received,dkim-signature"),
    ("SignatureTTL", "99999999999"),
    ("Socket", "inet6:99999@[::1]"),
    ("UMask", "-1"),
    ("PeerList", "refile:/hosts"),
];

const TABLES: &str = "Mode sv\nSocket inet6:8891@[::1]\nKeyTable csl:k=example.com:s:/k.pem,w=%:w:./w.pem\n\
                      SigningTable csl:example.com=k,*=w\n";
const SINGLE: &str = "Domain example.com\nSelector s\nKeyFile /k.pem\n";

/// The settings without comments, and the keys.
fn outcome(conf: &str) -> String {
    let read = |path: &str| match path {
        "/etc/dkim/opendkim.conf" => Ok(conf.as_bytes().to_vec()),
        "/other" => Ok(b"UserID other\n".to_vec()),
        "/hosts" => Ok(b"192.0.2.*\nmx.example.org\n".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let conf = Conf::read("/etc/dkim/opendkim.conf", &read).unwrap();
    let imported = Imported::plan(&conf, &read).unwrap();
    configured(&imported);
    let toml = imported.to_toml(&conf, "/keys");
    let lines = toml.lines().filter(|line| !line.starts_with('#'));
    format!(
        "{}\n{:?}",
        lines.collect::<Vec<_>>().join("\n"),
        imported.keys
    )
}

#[test]
fn every_honoured_option_has_an_effect() {
    let honoured = |o: &&OpenDkimOption| matches!(o.fate, Fate::Supported | Fate::Renamed);
    for option in OPTIONS.iter().filter(honoured) {
        let value = VALUES.iter().find(|v| v.0 == option.name).map(|v| v.1);
        let (base, with) = match (option.name, value) {
            ("Domain", _) => (SINGLE.to_owned(), format!("{SINGLE}Domain example.net\n")),
            ("KeyFile", _) => (SINGLE.to_owned(), format!("{SINGLE}KeyFile /other.pem\n")),
            ("Selector", _) => (SINGLE.to_owned(), format!("{SINGLE}Selector t\n")),
            ("SubDomains", _) => (SINGLE.to_owned(), format!("{SINGLE}SubDomains yes\n")),
            ("SyslogFacility", _) => (
                format!("{TABLES}Syslog yes\n"),
                format!("{TABLES}Syslog yes\nSyslogFacility local1\n"),
            ),
            ("SyslogName", _) => (
                format!("{TABLES}Syslog yes\n"),
                format!("{TABLES}Syslog yes\nSyslogName dkim\n"),
            ),
            (name, Some(value)) => (TABLES.to_owned(), format!("{TABLES}{name} {value}\n")),
            (name, None) => panic!("{name} has no value to try"),
        };
        assert_ne!(outcome(&base), outcome(&with), "{}", option.name);
    }
}

#[test]
fn whatever_the_value_the_configuration_can_be_read() {
    for (name, value) in VALUES {
        outcome(&format!("{TABLES}{name} {value}\n"));
        outcome(&format!("{SINGLE}{name} {value}\n").replace("KeyTable", "# "));
    }
}
