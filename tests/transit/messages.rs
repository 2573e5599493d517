//! Messages of every shape, before they are signed.

mod bodies;
mod headers;

use crate::mail::Mail;
use crate::random::Random;

/// A message and what it was made as.
pub(crate) struct Made {
    pub(crate) mail: Mail,
    pub(crate) shape: &'static str,
}

type Shape = (&'static str, fn(&mut Random) -> bodies::Content);

const SHAPES: [Shape; 29] = [
    ("plain", bodies::plain),
    ("plain", bodies::plain),
    ("plain with signature", bodies::with_signature),
    ("quoted reply", bodies::reply),
    ("utf-8 8bit", |rng| bodies::text(rng, "utf-8", "8bit")),
    ("utf-8 quoted-printable", |rng| {
        bodies::text(rng, "utf-8", "quoted-printable")
    }),
    ("utf-8 base64", |rng| bodies::text(rng, "utf-8", "base64")),
    ("latin-1 8bit", |rng| {
        bodies::text(rng, "iso-8859-1", "8bit")
    }),
    ("latin-1 quoted-printable", |rng| {
        bodies::text(rng, "iso-8859-1", "quoted-printable")
    }),
    ("windows-1252 8bit", |rng| {
        bodies::text(rng, "windows-1252", "8bit")
    }),
    ("quoted by word", bodies::by_word),
    ("alternative", |rng| {
        bodies::alternative(rng, "quoted-printable")
    }),
    ("alternative 8bit", |rng| bodies::alternative(rng, "8bit")),
    ("alternative base64", |rng| {
        bodies::alternative(rng, "base64")
    }),
    ("with attachment", bodies::attachment),
    ("nested", bodies::nested),
    ("html", |rng| bodies::html_only(rng, "8bit")),
    ("html quoted-printable", |rng| {
        bodies::html_only(rng, "quoted-printable")
    }),
    ("signed mail", bodies::signed_mail),
    ("flowed", bodies::flowed),
    ("long lines", bodies::long_lines),
    ("From and dots", bodies::from_and_dots),
    ("code with tabs", bodies::code),
    ("columns of blanks", bodies::columns),
    ("trailing blanks", bodies::trailing_blanks),
    ("blank lines", bodies::blank_lines),
    ("empty", bodies::empty),
    ("no last line end", bodies::unended),
    ("odd line ends", bodies::odd_ends),
];

/// A message of any shape.
pub(crate) fn make(rng: &mut Random) -> Made {
    let (shape, content) = *rng.pick(&SHAPES);
    let content = match rng.below(40) {
        0 => bodies::large(rng),
        _ => content(rng),
    };
    let mail = headers::make(rng, content);
    Made { mail, shape }
}
