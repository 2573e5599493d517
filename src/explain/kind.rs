//! The kinds of change that are known, each with its word for machines, its sentence, who is likely to have made
//! it, and what helps.

use std::fmt;

/// A known way in which mail is changed after it was signed, or in which a signer hashes what it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Text behind the end of the body.
    TextAppended,
    /// Text before the beginning of the body.
    TextPrepended,
    /// Text within the body: in a MIME part, or between two.
    TextInserted,
    /// A whole MIME part that was not there.
    PartAdded,
    /// The message became a part of another MIME structure.
    Wrapped,
    /// Empty lines that were not there.
    BlankLinesAdded,
    /// Empty lines that are not there any more.
    BlankLinesRemoved,
    /// White space at the ends of lines that was not there.
    TrailingBlanksAdded,
    /// White space at the ends of lines that is not there any more.
    TrailingBlanksRemoved,
    /// Tabs became spaces, or spaces tabs.
    Tabs,
    /// `>` before lines that begin with `From `.
    FromQuoted,
    /// The `>` before such lines is gone.
    FromUnquoted,
    /// The second dot of SMTP was left at the beginnings of lines.
    DotsLeft,
    /// A dot is missing at the beginnings of lines.
    DotsTaken,
    /// Long lines were cut.
    LinesWrapped,
    /// CRLF became LF or CR, or the other way round.
    LineEnds,
    /// A byte order mark came or went.
    ByteOrderMark,
    /// Quoted-printable, base64 or nothing became another of them.
    TransferEncoding,
    /// The text stands in another character set.
    Charset,
    /// Links lead through a scanner.
    Links,
    /// No-break spaces became spaces, or the other way round.
    NoBreakSpaces,
    /// A tag in Subject.
    SubjectTagged,
    /// Another address in From.
    FromRewritten,
    /// Display names were quoted in another way.
    NamesRequoted,
    /// An instance of a signed field that was not there.
    FieldAdded,
    /// A signed field is gone.
    FieldRemoved,
    /// The instances of a field stand in another order.
    FieldsReordered,
    /// A field was folded in another way.
    Refolded,
    /// The name of a field is written in other letters.
    Recased,
    /// Encoded words (RFC 2047) were decoded or encoded in another way.
    EncodedWords,
    /// Parameters of a MIME field were written in another way.
    Parameters,
    /// A date was written in another way.
    DateRewritten,
    /// Only white space of a field changed.
    FieldBlanks,
    /// The value of a field is another one.
    FieldChanged,
    /// The base64 of the signature lost characters.
    SignatureDamaged,
    /// The signer hashes an empty body in the way of the other canonicalization.
    SignerEmptyBody,
    /// The signer leaves lines of white space at the end of the body in its hash.
    SignerLastLines,
    /// The signer did not use the canonicalization that c= names.
    SignerCanonicalization,
    /// The signer counted l= wrongly.
    SignerBodyLimit,
    /// The signer hashed other line ends than those it sent.
    SignerLineEnds,
    /// The signer hashed the body together with the line that ends the header.
    SignerSeparator,
    /// The signer did not use the hash algorithm that a= names.
    SignerHash,
    /// The signer took the instances of a field, or the fields, in a wrong order.
    SignerFieldOrder,
    /// The signer hashed its own field in a wrong form.
    SignerOwnField,
    /// The signer hashed something for fields that are not there.
    SignerAbsentFields,
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever signs.
    Sender,
    /// A mailing list or forwarder.
    List,
    /// A gateway, scanner or mail server on the way.
    Gateway,
    /// Whoever verifies, or keeps the message.
    Receiver,
}

impl Who {
    /// The word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Who::Sender => "sender",
            Who::List => "list",
            Who::Gateway => "gateway",
            Who::Receiver => "receiver",
        }
    }
}

/// What is said of a kind, wherever it is found.
#[derive(Debug, Clone, Copy)]
struct Facts {
    word: &'static str,
    /// "…": what happened, for a table.
    about: &'static str,
    culprit: &'static str,
    mends: &'static [(Who, &'static str)],
}

const LIST_FOOTER: (Who, &str) = (
    Who::List,
    "leave the body alone: put what the footer says into List-Unsubscribe and the other List- fields",
);
const REWRITE_FROM: (Who, &str) = (
    Who::List,
    "if the change must be, rewrite From to the list's own domain and sign the result",
);
const GATEWAY_BANNER: (Who, &str) = (
    Who::Gateway,
    "verify before anything is added, record the result in Authentication-Results, and add nothing to mail that is passed on",
);
const SIGN_LAST: (Who, &str) = (
    Who::Sender,
    "if it happens in your own system, sign behind it: the signer comes last",
);
const RELAXED: (Who, &str) = (
    Who::Sender,
    "sign with c=relaxed/relaxed, which bears changes of white space and of the case of names",
);
const SIGNER: (Who, &str) = (
    Who::Sender,
    "the signature was wrong from the beginning: update the signing software",
);

impl Kind {
    /// All kinds, in the order of the README's table.
    pub const ALL: [Kind; 45] = [
        Kind::TextAppended,
        Kind::TextPrepended,
        Kind::TextInserted,
        Kind::PartAdded,
        Kind::Wrapped,
        Kind::BlankLinesAdded,
        Kind::BlankLinesRemoved,
        Kind::TrailingBlanksAdded,
        Kind::TrailingBlanksRemoved,
        Kind::Tabs,
        Kind::FromQuoted,
        Kind::FromUnquoted,
        Kind::DotsLeft,
        Kind::DotsTaken,
        Kind::LinesWrapped,
        Kind::LineEnds,
        Kind::ByteOrderMark,
        Kind::TransferEncoding,
        Kind::Charset,
        Kind::Links,
        Kind::NoBreakSpaces,
        Kind::SubjectTagged,
        Kind::FromRewritten,
        Kind::NamesRequoted,
        Kind::FieldAdded,
        Kind::FieldRemoved,
        Kind::FieldsReordered,
        Kind::Refolded,
        Kind::Recased,
        Kind::EncodedWords,
        Kind::Parameters,
        Kind::DateRewritten,
        Kind::FieldBlanks,
        Kind::FieldChanged,
        Kind::SignatureDamaged,
        Kind::SignerEmptyBody,
        Kind::SignerLastLines,
        Kind::SignerCanonicalization,
        Kind::SignerBodyLimit,
        Kind::SignerLineEnds,
        Kind::SignerSeparator,
        Kind::SignerHash,
        Kind::SignerFieldOrder,
        Kind::SignerOwnField,
        Kind::SignerAbsentFields,
    ];

    /// The stable word for machines.
    ///
    /// ```
    /// use dkimkit::explain::Kind;
    /// assert_eq!(Kind::TextAppended.as_str(), "text-appended");
    /// ```
    pub fn as_str(self) -> &'static str {
        self.facts().word
    }

    /// What it is, in some words.
    pub fn about(self) -> &'static str {
        self.facts().about
    }

    /// Who is likely to have done it: a guess, where the change itself is proven.
    pub fn culprit(self) -> &'static str {
        self.facts().culprit
    }

    /// What helps, and who can do it.
    pub fn mends(self) -> &'static [(Who, &'static str)] {
        self.facts().mends
    }

    /// Whether the message is as it was signed and the signer is wrong: there is nothing to restore then.
    pub fn is_of_signer(self) -> bool {
        self >= Kind::SignerEmptyBody
    }

    /// Whether what it is said to be names the field that it befalls.
    pub(super) fn names_field(self) -> bool {
        matches!(
            self,
            Kind::SubjectTagged
                | Kind::FromRewritten
                | Kind::DateRewritten
                | Kind::SignatureDamaged
        )
    }

    #[deny(clippy::wildcard_enum_match_arm)]
    fn facts(self) -> Facts {
        let (word, about, culprit, mends): (_, _, _, &'static [(Who, &'static str)]) = match self {
            Kind::TextAppended => (
                "text-appended",
                "text was added behind the body",
                "a mailing list with a footer, or a gateway with a disclaimer or a virus scanner's note",
                &[LIST_FOOTER, REWRITE_FROM, GATEWAY_BANNER, SIGN_LAST],
            ),
            Kind::TextPrepended => (
                "text-prepended",
                "text was added before the body",
                "a gateway with a banner, or a forwarder",
                &[GATEWAY_BANNER, SIGN_LAST],
            ),
            Kind::TextInserted => (
                "text-inserted",
                "text was added within the body",
                "a gateway or list that puts its banner or footer into the text, or into each part of it",
                &[LIST_FOOTER, REWRITE_FROM, GATEWAY_BANNER, SIGN_LAST],
            ),
            Kind::PartAdded => (
                "part-added",
                "a MIME part was added",
                "a mailing list or gateway that adds its text as a part of its own",
                &[LIST_FOOTER, REWRITE_FROM, GATEWAY_BANNER],
            ),
            Kind::Wrapped => (
                "wrapped-in-multipart",
                "the message became a part of a new multipart message",
                "a mailing list such as Mailman, which wraps what it cannot append its footer to",
                &[LIST_FOOTER, REWRITE_FROM],
            ),
            Kind::BlankLinesAdded => (
                "blank-lines-added",
                "empty lines were added",
                "a gateway or a filter that writes the message anew",
                &[SIGN_LAST],
            ),
            Kind::BlankLinesRemoved => (
                "blank-lines-removed",
                "empty lines were removed",
                "a gateway or a filter that writes the message anew",
                &[SIGN_LAST],
            ),
            Kind::TrailingBlanksAdded => (
                "trailing-blanks-added",
                "white space was added at the ends of lines",
                "a gateway or a filter that writes the message anew",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::TrailingBlanksRemoved => (
                "trailing-blanks-removed",
                "white space was taken from the ends of lines",
                "a mail server or an editor that trims lines (Exchange does)",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::Tabs => (
                "tabs-changed",
                "tabs became spaces, or spaces tabs",
                "a gateway or an editor that expands tabs",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::FromQuoted => (
                "from-lines-quoted",
                "lines that begin with From were given a >",
                "a program that keeps mail in mbox files",
                &[
                    (
                        Who::Sender,
                        "encode the body as quoted-printable, so that no line begins with From",
                    ),
                    (
                        Who::Receiver,
                        "keep mail as Maildir, or undo the quoting (mboxrd) when it is read",
                    ),
                ],
            ),
            Kind::FromUnquoted => (
                "from-lines-unquoted",
                "lines that began with >From lost the >",
                "a program that reads mail from mbox files",
                &[(
                    Who::Sender,
                    "encode the body as quoted-printable, so that no line begins with >From",
                )],
            ),
            Kind::DotsLeft => (
                "dots-left-in",
                "lines that begin with a dot have one too many",
                "an SMTP server or filter that does not take off the second dot (RFC 5321 §4.5.2), or a client that adds it twice",
                &[
                    (Who::Gateway, "take off the dot that SMTP adds, once"),
                    (
                        Who::Sender,
                        "encode the body as quoted-printable with dots at line starts encoded",
                    ),
                ],
            ),
            Kind::DotsTaken => (
                "dots-taken-away",
                "lines that began with a dot lost it",
                "an SMTP client that sends lines without the second dot, or a server that takes off two (RFC 5321 §4.5.2)",
                &[
                    (
                        Who::Gateway,
                        "add the dot that SMTP wants before lines that begin with one",
                    ),
                    (
                        Who::Sender,
                        "encode the body as quoted-printable with dots at line starts encoded",
                    ),
                ],
            ),
            Kind::LinesWrapped => (
                "lines-wrapped",
                "long lines were cut",
                "an SMTP client with a limit on lines: Postfix cuts behind 998 octets (smtp_line_length_limit), others behind 990",
                &[(
                    Who::Sender,
                    "send no line of over 998 octets (RFC 5322 §2.1.1): encode as quoted-printable or base64; `dkimkit lint` finds them",
                )],
            ),
            Kind::LineEnds => (
                "line-ends-changed",
                "line ends were changed",
                "a program that reads or writes the message as a text of its own system",
                &[
                    (
                        Who::Sender,
                        "sign the message with CRLF, and send no CR or LF alone (RFC 5322 §2.3)",
                    ),
                    (
                        Who::Receiver,
                        "keep and hand on the message with its line ends",
                    ),
                ],
            ),
            Kind::ByteOrderMark => (
                "byte-order-mark",
                "a byte order mark came or went",
                "an editor or a filter that writes text files",
                &[SIGN_LAST],
            ),
            Kind::TransferEncoding => (
                "transfer-encoding-changed",
                "the body was encoded anew",
                "a mail server that passes 8-bit text on to one that takes 7 bits alone (RFC 6152), or one that writes MIME anew (Exchange does)",
                &[
                    (
                        Who::Sender,
                        "send 7-bit text alone: encode as quoted-printable or base64 before signing (RFC 6376 §5.3)",
                    ),
                    (
                        Who::Gateway,
                        "do not write anew what needs no change; offer 8BITMIME",
                    ),
                ],
            ),
            Kind::Charset => (
                "charset-changed",
                "the text was written in another character set",
                "a gateway or list that converts text",
                &[
                    (Who::Sender, "send UTF-8 as quoted-printable or base64"),
                    (Who::Gateway, "do not convert text that is passed on"),
                ],
            ),
            Kind::Links => (
                "links-rewritten",
                "links were replaced",
                "a scanner that leads links through its own server",
                &[GATEWAY_BANNER],
            ),
            Kind::NoBreakSpaces => (
                "no-break-spaces",
                "no-break spaces and spaces were exchanged",
                "a gateway that writes HTML anew",
                &[SIGN_LAST],
            ),
            Kind::SubjectTagged => (
                "subject-tagged",
                "a tag was added to Subject",
                "a mailing list, a spam filter, or a gateway that marks mail from outside",
                &[
                    (Who::List, "leave Subject alone: readers sort by List-Id"),
                    (
                        Who::Gateway,
                        "mark spam in a field of its own, such as X-Spam-Flag",
                    ),
                    REWRITE_FROM,
                ],
            ),
            Kind::FromRewritten => (
                "from-rewritten",
                "From was given another address",
                "a mailing list that takes over From because of DMARC",
                &[(
                    Who::List,
                    "that is what a list does that changes mail; let it remove the old signature and sign its own",
                )],
            ),
            Kind::NamesRequoted => (
                "names-requoted",
                "names before addresses were quoted in another way",
                "a mail server that writes addresses anew (Gmail and Exchange do)",
                &[(
                    Who::Sender,
                    "quote names with specials, and only those (RFC 5322 §3.2.3); `dkimkit lint` finds them",
                )],
            ),
            Kind::FieldAdded => (
                "field-added",
                "a field that is signed was added",
                "a mailing list or gateway; somebody who wants another text to be shown, if it is From, Subject or Date",
                &[
                    (
                        Who::List,
                        "add no field that the signature names, and no second one of those that may stand once",
                    ),
                    (
                        Who::Receiver,
                        "do not trust the added field: it is not the signer's",
                    ),
                ],
            ),
            Kind::FieldRemoved => (
                "field-removed",
                "a field that is signed was removed",
                "a gateway that strips fields",
                &[
                    (
                        Who::Sender,
                        "do not sign fields that your way out removes; see --headers",
                    ),
                    SIGN_LAST,
                ],
            ),
            Kind::FieldsReordered => (
                "fields-reordered",
                "the instances of a field stand in another order",
                "a program that writes the header anew",
                &[
                    (
                        Who::Sender,
                        "do not sign fields that may stand several times",
                    ),
                    SIGN_LAST,
                ],
            ),
            Kind::Refolded => (
                "field-refolded",
                "fields were folded in another way",
                "a mail server that writes the header anew",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::Recased => (
                "field-name-recased",
                "names of fields are written in other letters",
                "a program that writes the header anew",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::EncodedWords => (
                "encoded-words-changed",
                "names or Subject were encoded in another way (RFC 2047)",
                "a mail server or list that decodes the header and writes it anew",
                &[
                    (
                        Who::Sender,
                        "encode every non-ASCII text of the header before signing, in UTF-8",
                    ),
                    SIGN_LAST,
                ],
            ),
            Kind::Parameters => (
                "parameters-rewritten",
                "a MIME field was written in another way",
                "a mail server that writes MIME fields anew",
                &[SIGN_LAST],
            ),
            Kind::DateRewritten => (
                "date-rewritten",
                "Date was written in another way",
                "a mail server that writes the header anew",
                &[
                    (
                        Who::Sender,
                        "write Date as RFC 5322 §3.3 has it, with a numeric zone",
                    ),
                    SIGN_LAST,
                ],
            ),
            Kind::FieldBlanks => (
                "field-blanks-changed",
                "white space of fields was changed",
                "a mail server that writes the header anew",
                &[RELAXED, SIGN_LAST],
            ),
            Kind::FieldChanged => (
                "field-changed",
                "a field has another value",
                "whoever handed the message on: a list, a gateway, or somebody who wants to deceive",
                &[
                    (
                        Who::Receiver,
                        "trust what was signed, and not what the field says now",
                    ),
                    SIGN_LAST,
                ],
            ),
            Kind::SignatureDamaged => (
                "signature-damaged",
                "the DKIM-Signature field itself was damaged",
                "a program that writes the header anew, or a copy through a form or a web page",
                &[SIGN_LAST],
            ),
            Kind::SignerEmptyBody => (
                "signer-empty-body",
                "the signer hashes an empty body wrongly (RFC 6376 §3.4.3, §3.4.4)",
                "the signing software",
                &[
                    SIGNER,
                    (
                        Who::Sender,
                        "until then, sign no empty body: a line of text is enough",
                    ),
                ],
            ),
            Kind::SignerLastLines => (
                "signer-last-lines",
                "the signer hashes empty lines at the end of the body (RFC 6376 §3.4.3, §3.4.4)",
                "the signing software",
                &[SIGNER],
            ),
            Kind::SignerCanonicalization => (
                "signer-canonicalization",
                "the hash is that of the other canonicalization than c= names",
                "the signing software; or, where c= says simple, just as well a server that changed white space on the way",
                &[(
                    Who::Sender,
                    "verify a message as it leaves: if that fails, update the signing software; if it passes, sign with c=relaxed/relaxed, which bears changes of white space",
                )],
            ),
            Kind::SignerBodyLimit => (
                "signer-body-limit",
                "the signer counts l= wrongly (RFC 6376 §3.4.5)",
                "the signing software",
                &[
                    SIGNER,
                    (
                        Who::Sender,
                        "sign without l=: it lets anybody add to the body",
                    ),
                ],
            ),
            Kind::SignerLineEnds => (
                "signer-line-ends",
                "the signer hashed other line ends than were sent",
                "software that signs before line ends become CRLF",
                &[
                    SIGNER,
                    (
                        Who::Sender,
                        "convert line ends to CRLF before signing (RFC 6376 §5.3)",
                    ),
                ],
            ),
            Kind::SignerSeparator => (
                "signer-separator",
                "the signer hashed the empty line behind the header with the body",
                "the signing software",
                &[SIGNER],
            ),
            Kind::SignerHash => (
                "signer-hash",
                "the signer used another hash algorithm than a= says",
                "the signing software",
                &[SIGNER],
            ),
            Kind::SignerFieldOrder => (
                "signer-field-order",
                "the signer took the fields in a wrong order (RFC 6376 §5.4.2)",
                "the signing software",
                &[
                    SIGNER,
                    (
                        Who::Sender,
                        "until then, sign no field that stands several times",
                    ),
                ],
            ),
            Kind::SignerOwnField => (
                "signer-own-field",
                "the signer hashed its own field in a wrong form (RFC 6376 §3.7)",
                "the signing software",
                &[SIGNER],
            ),
            Kind::SignerAbsentFields => (
                "signer-absent-fields",
                "the signer hashed fields that are not there (RFC 6376 §5.4)",
                "the signing software",
                &[SIGNER],
            ),
        };
        Facts {
            word,
            about,
            culprit,
            mends,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
