//! Why records cannot be read from a text, with the line.

/// Why records cannot be read from a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not JSON.
    #[error("the JSON cannot be read: {error}")]
    Json {
        /// What the parser says.
        error: String,
    },
    /// JSON of another form.
    #[error(
        "the entry of {name:?} is neither {{\"TXT\": [\"…\"]}} (or A, AAAA, MX and so on) nor {{\"status\": \"NXDOMAIN\"|\"NODATA\"|\"SERVFAIL\"|\"REFUSED\"|\"TIMEOUT\"}}"
    )]
    JsonEntry {
        /// The name.
        name: String,
    },
    /// A name has records and a status, or a CNAME and other records, or two of either.
    #[error("{name} is given twice, and both cannot be true")]
    Conflict {
        /// The name.
        name: String,
    },
    /// A parenthesis without its counterpart.
    #[error("line {line}: a parenthesis has no counterpart")]
    Parenthesis {
        /// The line, counted from 1.
        line: usize,
    },
    /// A string that does not end on its line.
    #[error("line {line}: a quoted string does not end")]
    Quote {
        /// The line, counted from 1.
        line: usize,
    },
    /// A backslash before nothing, or before a number beyond 255.
    #[error("line {line}: a backslash escapes nothing")]
    Escape {
        /// The line, counted from 1.
        line: usize,
    },
    /// The entry ends too early.
    #[error("line {line}: the entry is not complete")]
    Incomplete {
        /// The line, counted from 1.
        line: usize,
    },
    /// The first entry begins with a blank.
    #[error("line {line}: the entry has no name, and there is none before it")]
    NoOwner {
        /// The line, counted from 1.
        line: usize,
    },
    /// A name without a final dot, and no origin.
    #[error(
        "line {line}: the name {name} is relative; end it with a dot, or put a line `$ORIGIN example.com.` before it"
    )]
    Relative {
        /// The line, counted from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A word stands where the type of a record should.
    #[error("line {line}: \"{found}\" is not a record type")]
    NoType {
        /// The line, counted from 1.
        line: usize,
        /// The word, escaped.
        found: String,
    },
    /// A string beyond 255 bytes (RFC 1035 §3.3).
    #[error("line {line}: a string of {len} bytes is longer than 255; split it into several")]
    StringTooLong {
        /// The line, counted from 1.
        line: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A directive that would read further files.
    #[error("line {line}: {directive} is not supported")]
    Directive {
        /// The line, counted from 1.
        line: usize,
        /// The directive.
        directive: String,
    },
}
