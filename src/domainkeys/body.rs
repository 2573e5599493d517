//! The body as DomainKeys hash it, behind the header in one hash: simple and nofws (RFC 4870 §3.4.2), as streams.

use super::signature::Form;
use crate::canon::body::BodyCanonicalizer;
use crate::canon::{Canon, Sink};
use crate::hash::{Digest, Hasher};

/// The hashes of all signatures, with one pass for each canonicalization.
#[derive(Debug, Default)]
pub(super) struct BodyHashers {
    passes: Vec<Pass>,
    /// For each signature, in their order: its pass, and its place in that.
    places: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Pass {
    form: Form,
    stripper: Stripper,
    canonicalizer: BodyCanonicalizer,
    behind: BehindHeader,
}

impl BodyHashers {
    /// Adds a hash of a header, behind which the body is to go.
    pub(super) fn add(&mut self, form: Form, header: Hasher) {
        let at = self.passes.iter().position(|pass| pass.form == form);
        let at = at.unwrap_or_else(|| {
            self.passes.push(Pass {
                form,
                stripper: Stripper::default(),
                canonicalizer: BodyCanonicalizer::new(Canon::Simple),
                behind: BehindHeader::default(),
            });
            self.passes.len() - 1
        });
        let hashers = &mut self.passes[at].behind.hashers;
        hashers.push(header);
        self.places.push((at, hashers.len() - 1));
    }

    /// Takes the next bytes of the body.
    pub(super) fn write(&mut self, chunk: &[u8]) {
        for pass in &mut self.passes {
            let (canonicalizer, behind) = (&mut pass.canonicalizer, &mut pass.behind);
            match pass.form {
                Form::Simple => canonicalizer.write(chunk, behind),
                Form::Nofws => pass
                    .stripper
                    .strip(chunk, |piece| canonicalizer.write(piece, behind)),
            }
        }
    }

    /// The hashes, in the order in which they were added.
    pub(super) fn finish(self) -> Vec<Digest> {
        let passes = self.passes.into_iter().map(|pass| {
            let mut behind = pass.behind;
            pass.canonicalizer.finish(&mut behind);
            let hashers = behind.hashers.into_iter();
            hashers.map(Hasher::finish).collect::<Vec<Digest>>()
        });
        let passes: Vec<Vec<Digest>> = passes.collect();
        let digest = |(pass, at): (usize, usize)| passes[pass][at];
        self.places.into_iter().map(digest).collect()
    }
}

/// Puts a canonical body behind the header, with the empty line between them.
///
/// Empty lines at the end are left out as in DKIM; but of a body without any other the empty line behind the header
/// is left out as well, where DKIM has a CRLF (RFC 4870 §3.4.2.1 and RFC 6376 §3.4.3).
#[derive(Debug, Default)]
struct BehindHeader {
    hashers: Vec<Hasher>,
    /// What came, as long as it may be no more than that CRLF.
    first: Vec<u8>,
    begun: bool,
}

impl Sink for BehindHeader {
    fn put(&mut self, bytes: &[u8]) {
        if self.begun {
            self.hashers.iter_mut().for_each(|hasher| hasher.put(bytes));
            return;
        }
        self.first.extend_from_slice(bytes);
        // Every line has a byte at least, and CRLF.
        if self.first.len() > 2 {
            self.begun = true;
            for hasher in &mut self.hashers {
                hasher.put(b"\r\n");
                hasher.put(&self.first);
            }
            self.first = Vec::new();
        }
    }
}

/// Drops every space, tab, CR and LF but the CRLF that ends a line (RFC 4870 §3.4.2.2).
#[derive(Debug, Default)]
struct Stripper {
    /// Whether the last byte was a CR.
    cr: bool,
}

impl Stripper {
    fn strip(&mut self, chunk: &[u8], mut put: impl FnMut(&[u8])) {
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            if !blank(&byte) {
                let len = rest.iter().position(blank).unwrap_or(rest.len());
                put(&rest[..len]);
                rest = &rest[len..];
                self.cr = false;
                continue;
            }
            if byte == b'\n' && self.cr {
                put(b"\r\n");
            }
            self.cr = byte == b'\r';
            rest = &rest[1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashAlgorithm;

    /// By the words of the RFC, line by line.
    fn model(form: Form, body: &str) -> String {
        let mut lines: Vec<String> = body.split("\r\n").map(str::to_owned).collect();
        if form == Form::Nofws {
            for line in &mut lines {
                line.retain(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'));
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let lines = lines.into_iter().map(|line| line + "\r\n");
        let body: String = lines.collect();
        match body.is_empty() {
            true => body,
            false => format!("\r\n{body}"),
        }
    }

    #[test]
    fn at_every_cut_the_body_is_what_the_rfc_says() {
        let pieces = ["", "a", " ", "\t", "\r", "\n", "\r\n", "b c", "\r\n\r\n"];
        let count = pieces.len();
        for code in 0..count.pow(4) {
            let body: String = (0..4)
                .map(|nth| pieces[code / count.pow(nth) % count])
                .collect();
            for form in [Form::Simple, Form::Nofws] {
                let mut want = Hasher::new(HashAlgorithm::Sha1);
                want.put(format!("From:a\r\n{}", model(form, &body)).as_bytes());
                let want = want.finish();
                for step in [1, 2, 100] {
                    let mut header = Hasher::new(HashAlgorithm::Sha1);
                    header.put(b"From:a\r\n");
                    let mut hashers = BodyHashers::default();
                    hashers.add(form, header);
                    for chunk in body.as_bytes().chunks(step) {
                        hashers.write(chunk);
                    }
                    assert_eq!(hashers.finish(), [want], "{form:?} {body:?} {step}");
                }
            }
        }
    }
}
