//! Points in time, as t= and x= count them. The core is told the time; it reads no clock.

use std::fmt;

use mail_parser::DateTime;

/// Seconds since 1970-01-01T00:00:00Z (RFC 6376 §3.5, t=).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Later than any time that a tag can say; RFC 6376 §3.5 lets numbers of more than 12 digits be
    /// taken for infinite.
    pub const INFINITE: UnixTime = UnixTime(u64::MAX);

    /// Reads seconds, or a time in the form of RFC 3339.
    ///
    /// ```
    /// use dkimkit::time::UnixTime;
    /// assert_eq!(UnixTime::read("1700000000"), Some(UnixTime(1_700_000_000)));
    /// assert_eq!(UnixTime::read("2023-11-14T23:13:20+01:00"), Some(UnixTime(1_700_000_000)));
    /// assert_eq!(UnixTime::read("yesterday"), None);
    /// ```
    pub fn read(text: &str) -> Option<UnixTime> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(UnixTime);
        }
        // The parser passes over what it does not expect, so the shape is checked first.
        let bytes = text.as_bytes();
        let shape = b"0000-00-00T00:00:00";
        let fits = |(b, s): (&u8, &u8)| match s {
            b'0' => b.is_ascii_digit(),
            b'T' => matches!(b, b'T' | b't' | b' '),
            s => b == s,
        };
        let zone = bytes.get(shape.len()..)?;
        let zoned = matches!(zone, [b'Z' | b'z'])
            || matches!(zone, [b'+' | b'-', _, _, b':', _, _])
            || zone.first() == Some(&b'.');
        if !zoned || !bytes.iter().zip(shape).all(fits) {
            return None;
        }
        let time = DateTime::parse_rfc3339(text).filter(DateTime::is_valid)?;
        u64::try_from(time.to_timestamp()).ok().map(UnixTime)
    }

    /// The time in the form of RFC 3339, in UTC; as seconds beyond the year 3000.
    ///
    /// ```
    /// use dkimkit::time::UnixTime;
    /// assert_eq!(UnixTime(1_700_000_000).to_rfc3339(), "2023-11-14T22:13:20Z");
    /// ```
    pub fn to_rfc3339(self) -> String {
        const YEAR_3001: u64 = 32_535_216_000;
        match i64::try_from(self.0) {
            Ok(seconds) if self.0 < YEAR_3001 => DateTime::from_timestamp(seconds).to_rfc3339(),
            _ => self.0.to_string(),
        }
    }
}

impl fmt::Display for UnixTime {
    /// The number of seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for seconds in [
            0,
            1,
            951_782_400,
            1_700_000_000,
            32_535_215_999,
            32_535_216_000,
            u64::MAX,
        ] {
            let time = UnixTime(seconds);
            assert_eq!(UnixTime::read(&time.to_rfc3339()), Some(time));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "now",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-13-14T22:13:20Z",
            "2023-11-14T25:13:20Z",
            "99999999999999999999999",
            "2023-11-14T22:13:20ZZ",
        ] {
            assert_eq!(UnixTime::read(text), None, "{text}");
        }
    }
}
