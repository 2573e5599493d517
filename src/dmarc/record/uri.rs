//! Where reports are to go: rua= and ruf= (RFC 9989 §4.6, §4.8).

use serde::Serialize;

use crate::name::Domain;

/// An address for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportUri {
    /// The URI as it stands there, without a size.
    pub uri: String,
    /// Whose mailbox it is, where it is one: the scheme is `mailto`.
    pub mailbox: Option<Mailbox>,
    /// The host of a URI that has one and is none of mail.
    pub host: Option<Domain>,
    /// The obsolete limit behind it, in octets; reporters ignore it (§4.8).
    pub size_limit: Option<u64>,
}

/// The mailbox of a `mailto:` URI (RFC 6068), with percent-encoding undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// What stands before the `@`.
    pub local_part: String,
    /// What stands behind it.
    pub domain: Domain,
}

/// Why text is no address for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UriError {
    /// Nothing stands between two commas.
    #[error("it is empty")]
    Empty,
    /// There is no scheme before a colon.
    #[error("it has no scheme")]
    NoScheme,
    /// A character that no URI has (RFC 3986 §2), or a `%` without two digits.
    #[error("it has a character that must be percent-encoded")]
    Character,
    /// A `!` without a size behind it.
    #[error("the ! in it is not encoded and has no size behind it")]
    Size,
    /// A `mailto:` without an address that mail can be sent to.
    #[error("it names no mailbox")]
    NoMailbox,
}

impl UriError {
    /// What to do about it.
    pub fn mend(self) -> &'static str {
        match self {
            UriError::Empty => "take one of the commas out",
            UriError::NoScheme => "write mailto: before the address",
            UriError::Character => "encode the character as % and two hexadecimal digits",
            UriError::Size => "encode the ! as %21",
            UriError::NoMailbox => "give an address such as mailto:reports@example.com",
        }
    }
}

impl ReportUri {
    /// Reads one address of a list.
    ///
    /// ```
    /// use dkimkit::dmarc::record::{ReportUri, UriError};
    /// let uri = ReportUri::parse(b"mailto:a%2Bb@example.com!10m")?;
    /// assert_eq!(uri.mailbox.as_ref().unwrap().local_part, "a+b");
    /// assert_eq!((uri.uri.as_str(), uri.size_limit), ("mailto:a%2Bb@example.com", Some(10 << 20)));
    /// assert_eq!(ReportUri::parse(b"a@example.com"), Err(UriError::NoScheme));
    /// # Ok::<(), UriError>(())
    /// ```
    ///
    /// # Errors
    /// [`UriError`]: no report can be sent there.
    pub fn parse(text: &[u8]) -> Result<ReportUri, UriError> {
        if text.is_empty() {
            return Err(UriError::Empty);
        }
        // §4.8: a `!` in the URI itself is encoded, so the first one begins the size.
        let (uri, size) = match memchr::memchr(b'!', text) {
            Some(at) => (
                &text[..at],
                Some(size(&text[at + 1..]).ok_or(UriError::Size)?),
            ),
            None => (text, None),
        };
        let colon = memchr::memchr(b':', uri).ok_or(UriError::NoScheme)?;
        let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
        let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(in_scheme) {
            return Err(UriError::NoScheme);
        }
        check(rest)?;
        let uri = String::from_utf8_lossy(uri).into_owned();
        let (mut mailbox, mut host) = (None, None);
        if scheme.eq_ignore_ascii_case(b"mailto") {
            mailbox = Some(mailbox_of(rest).ok_or(UriError::NoMailbox)?);
        } else {
            host = host_of(rest);
        }
        Ok(ReportUri {
            uri,
            mailbox,
            host,
            size_limit: size,
        })
    }

    /// The scheme, as it is written.
    pub fn scheme(&self) -> &str {
        self.uri.split(':').next().unwrap_or_default()
    }

    /// The domain to which reports would go.
    pub fn destination(&self) -> Option<&Domain> {
        let mailbox = self.mailbox.as_ref().map(|mailbox| &mailbox.domain);
        mailbox.or(self.host.as_ref())
    }
}

/// `1*DIGIT [ "k" / "m" / "g" / "t" ]`, in powers of 1024 (RFC 7489 §6.3); a number too large is the largest.
fn size(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let power = match &text[digits..] {
        b"" => 0,
        [unit] => match unit.to_ascii_lowercase() {
            b'k' => 1,
            b'm' => 2,
            b'g' => 3,
            b't' => 4,
            _ => return None,
        },
        _ => return None,
    };
    if digits == 0 {
        return None;
    }
    let number = text[..digits].iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(number.saturating_mul(1024_u64.pow(power)))
}

/// The characters of a URI behind its scheme (RFC 3986 §2, §3).
fn check(rest: &[u8]) -> Result<(), UriError> {
    let mut rest = rest;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match byte {
            b'%' => match tail {
                [a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => tail,
                _ => return Err(UriError::Character),
            },
            _ if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@$&'()*+,;=".contains(byte) => tail,
            _ => return Err(UriError::Character),
        };
    }
    Ok(())
}

fn mailbox_of(rest: &[u8]) -> Option<Mailbox> {
    // Fields of the message may follow (RFC 6068 §2), of which reporters take none.
    let address = rest.split(|byte| matches!(byte, b'?' | b'#')).next()?;
    // An encoded `@` belongs to the local part, so the last plain one parts them; some encode that one too.
    let decoded = String::from_utf8(decoded(address)).ok()?;
    let (local_part, domain) = decoded.rsplit_once('@')?;
    if local_part.is_empty() || local_part.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    Some(Mailbox {
        local_part: local_part.to_owned(),
        domain: Domain::new(domain).ok()?,
    })
}

/// The host of the authority, where the URI has one that is a name (RFC 3986 §3.2).
fn host_of(rest: &[u8]) -> Option<Domain> {
    let authority = rest.strip_prefix(b"//")?;
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = authority.split(ends).next()?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    let host = host.split(|byte| *byte == b':').next()?;
    let host = String::from_utf8(decoded(host)).ok()?;
    Domain::new(&host).ok()
}

/// Percent-encoding undone; it was checked before.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [a, b, tail @ ..]) => {
                out.push(hex(*a) << 4 | hex(*b));
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
