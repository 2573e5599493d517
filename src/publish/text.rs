//! Ways of quoting: each takes any text and gives one that cannot end the quotes around it.

use super::{Form, PublishError, strings};
use crate::report::is_harmful;

/// The strings of a record in quotes, with blanks between (RFC 1035 §5.1).
pub(super) fn quoted(record: &str) -> String {
    joined(record, " ", |c, out| match c {
        c if is_harmful(c) => decimal(c, out),
        c => out.push(c),
    })
}

/// The same in ASCII alone, for those of whom nothing says what they make of other characters.
pub(super) fn quoted_ascii(record: &str) -> String {
    joined(record, " ", |c, out| match c {
        ' '..='~' => out.push(c),
        c => decimal(c, out),
    })
}

/// The strings as Route 53 writes them: numbers are octal there, unlike in RFC 1035. `between` stands
/// between a string and the next.
pub(super) fn quoted_octal(record: &str, between: &str) -> String {
    joined(record, between, |c, out| match c {
        ' '..='~' => out.push(c),
        c => octal(c, out),
    })
}

fn joined(record: &str, between: &str, plain: impl Fn(char, &mut String)) -> String {
    let quote = |text: &str| {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c => plain(c, &mut out),
            }
        }
        out.push('"');
        out
    };
    let quoted: Vec<String> = strings(record).into_iter().map(quote).collect();
    quoted.join(between)
}

fn decimal(c: char, out: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        out.push_str(&format!("\\{byte:03}"));
    }
}

/// A character as the octal numbers of its bytes.
pub(super) fn octal(c: char, out: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        out.push_str(&format!("\\{byte:03o}"));
    }
}

/// One word of a shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Refuses what `legal` does not take.
pub(super) fn only(
    form: Form,
    record: &str,
    legal: impl Fn(char) -> bool,
) -> Result<(), PublishError> {
    match record.chars().find(|c| !legal(*c)) {
        Some(c) => Err(PublishError::Unwritable {
            form,
            found: format!("{c:?}"),
        }),
        None => Ok(()),
    }
}

/// Refuses a text that is longer than what is taken at the other end.
pub(super) fn at_most(form: Form, text: &str, max: usize) -> Result<(), PublishError> {
    let len = text.len();
    if len > max {
        return Err(PublishError::TooLong { form, len, max });
    }
    Ok(())
}
