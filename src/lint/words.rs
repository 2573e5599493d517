//! The words of the findings, with what each means, why it matters and what mends it.

use super::Severity::{self, Error, Note, Warning};

/// A fault, and all that is said of it wherever it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Which fault it is.
    pub fault: Fault,
    /// The stable word.
    pub word: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, in a few words; the README shows this.
    pub meaning: &'static str,
    /// Why that breaks a signature or the delivery.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
}

/// Declares the faults and the table of their words together, so that none lacks a row.
macro_rules! faults {
    ($($fault:ident $word:literal $severity:ident $meaning:literal $why:literal $mend:literal)*) => {
        /// What may break a message on its way, or have it refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $(#[doc = $meaning] $fault,)*
        }

        /// Every word that a finding may have, for documentation; the README shows this table.
        pub const WORDS: &[Word] = &[
            $(Word {
                fault: Fault::$fault,
                word: $word,
                severity: $severity,
                meaning: $meaning,
                why: $why,
                mend: $mend,
            },)*
        ];
    };
}

impl Fault {
    /// Its row in [`WORDS`].
    pub fn row(self) -> &'static Word {
        &WORDS[self as usize]
    }

    /// The stable word.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        self.row().severity
    }
}

faults! {
    // Lines and bytes.
    LineTooLong "line-too-long" Error
        "a line of the body has more than 998 bytes"
        "SMTP carries 998 (RFC 5321 §4.5.3.1.6); Postfix and Sendmail break longer ones, Exim refuses them"
        "send the part in quoted-printable or base64, or break the line"
    LineNearLimit "line-near-limit" Note
        "a line of the body has 991 to 998 bytes"
        "Sendmail breaks lines beyond 990 bytes unless it was told otherwise (L= of its mailers)"
        "send the part in quoted-printable or base64, or break the line"
    HeaderLineTooLong "header-line-too-long" Error
        "a line of the header has more than 998 bytes"
        "SMTP carries 998 (RFC 5322 §2.1.1); Postfix breaks longer ones in mid-word, Exim refuses them"
        "fold the field before a blank, so that no line has more than 78 bytes"
    HeaderLineLong "header-line-long" Note
        "a line of a signed field has more than 78 bytes"
        "lines should have no more (RFC 5322 §2.1.1), and gateways fold longer ones anew, which breaks a signature under simple"
        "fold the field before a blank, or sign with relaxed"
    BareCr "bare-cr" Error
        "a CR without an LF behind it"
        "it must not be sent (RFC 5321 §2.3.8); Postfix makes it a blank, others a line end, and servers refuse it"
        "take the CR out, or send the part in quoted-printable or base64"
    BareLf "bare-lf" Error
        "an LF without a CR before it, in a message whose lines end with CRLF"
        "it must not be sent (RFC 5321 §2.3.8); servers refuse it, or make it a blank or a CRLF"
        "end every line with CRLF"
    NulByte "nul-byte" Error
        "a NUL byte"
        "neither 7-bit nor 8-bit data may hold one (RFC 2045 §2.7 and §2.8); servers refuse it, or cut or drop it"
        "take it out, or send the part in base64"
    ControlCharacter "control-character" Warning
        "a control character in the header"
        "no field may hold one (RFC 5322 §2.2); servers refuse or replace it"
        "take it out, or write it in an encoded word (RFC 2047)"
    NoFinalLineEnd "no-final-line-end" Note
        "the last line of the message does not end"
        "SMTP adds the line end (RFC 5321 §4.1.1.4); DKIM allows for it, but not every verifier does"
        "end the last line"
    FromLine "from-line" Note
        "a line of the body begins with `From `"
        "whoever keeps the message in an mbox puts a > before it, so that a copy from there does not verify"
        "write it as =46rom in quoted-printable (RFC 2049 §3)"
    LoneDot "lone-dot" Warning
        "a line of the body is a single dot"
        "sendmail without -i takes it for the end of the message, and clients that double no dots end it there (RFC 5321 §4.5.2)"
        "write it as =2E in quoted-printable, and give sendmail -i"
    TrailingBlanks "trailing-blanks" Warning
        "blanks at the end of a line of the body, under simple"
        "scanners, gateways and editors take them away, which breaks a signature under simple (RFC 6376 §3.4.3)"
        "take them away first, or sign with relaxed"
    EmptyBody "empty-body" Note
        "the body is empty"
        "verifiers have hashed it in several ways (RFC 6376 §3.4.3 and §3.4.4)"
        "send a line of text"

    // The shape of fields.
    SpaceBeforeColon "space-before-colon" Warning
        "a blank between the name of a field and its colon"
        "it is obsolete (RFC 5322 §4.5); Postfix takes it away, in messages within the message too, and others do not know the field"
        "write the name and the colon without a blank between"
    NoSpaceAfterColon "no-space-after-colon" Warning
        "no blank behind the colon of a signed field, under simple"
        "mail systems put one there, which breaks a signature under simple (RFC 6376 §3.4.1)"
        "put a space behind the colon, or sign with relaxed"
    HeaderTrailingBlanks "header-trailing-blanks" Warning
        "blanks at the end of a line of a signed field, under simple"
        "mail systems take them away, which breaks a signature under simple (RFC 6376 §3.4.1)"
        "take them away first, or sign with relaxed"
    BlankFold "blank-fold" Warning
        "a line within a field that holds blanks alone"
        "it is obsolete (RFC 5322 §4.2), and some programs take it for the end of the header"
        "take the line out"
    EmptyField "empty-field" Warning
        "a field of addresses without an address"
        "it needs one (RFC 5322 §3.6.2, §3.6.3); mail systems drop such a field or refuse the message"
        "leave the field out; where there is to be no recipient, write To: undisclosed-recipients:;"
    FieldTooLarge "field-too-large" Error
        "a field of more than 60,000 bytes"
        "Postfix cuts it there"
        "shorten it, or take it out"
    MimeFieldLong "mime-field-long" Warning
        "a MIME field of more than 2,048 bytes"
        "Sendmail cuts it (MaxMimeHeaderLength)"
        "shorten its parameters, such as file names"
    HeaderTooLarge "header-too-large" Warning
        "a header of more than 32,768 bytes"
        "Sendmail refuses it (MaxHeadersLength)"
        "shorten References, or send to fewer recipients at once"
    ManyRecipients "many-recipients" Warning
        "more than 500 recipients in To and Cc"
        "providers refuse messages to so many (Microsoft 365 and Gmail from 500 on, some from 100 on)"
        "send several messages"

    // Which fields there are (RFC 5322 §3.6).
    FromMissing "from-missing" Error
        "there is no From field"
        "RFC 5322 §3.6 requires it, no signature can stand without it (RFC 6376 §5.4), and servers refuse the message"
        "write From: Name <local@domain>"
    FromUnreadable "from-unreadable" Error
        "From is not a list of mailboxes that can be read in one way only"
        "readers see different authors; DMARC has no domain to go by, and large receivers refuse the message"
        "write From: Name <local@domain>, a name with a comma in quotes"
    SenderMissing "sender-missing" Warning
        "several mailboxes in From, and no Sender"
        "it is required then (RFC 5322 §3.6.2); systems add one, or refuse the message"
        "name one author in From, or who sent it in Sender"
    DateMissing "date-missing" Warning
        "there is no Date field"
        "RFC 5322 §3.6 requires it; one that a relay adds is not signed"
        "write the Date before signing"
    DateBroken "date-broken" Warning
        "Date cannot be read"
        "relays replace it by one of their own (RFC 5322 §3.3 says how it is written)"
        "write it as Sat, 21 Nov 2026 12:00:00 +0000"
    MessageIdMissing "message-id-missing" Warning
        "there is no Message-ID field"
        "relays add one, which is not signed, and large receivers refuse messages without one"
        "write the Message-ID before signing, as <unique@domain>"
    MessageIdBroken "message-id-broken" Warning
        "Message-ID is not one <left@right>"
        "relays replace it or mend it, which breaks the signature (RFC 5322 §3.6.4)"
        "write it as <unique@domain>"
    DuplicateField "duplicate-field" Error
        "a field stands several times that may stand once"
        "readers disagree about which counts (RFC 5322 §3.6, RFC 2045 §3), and large receivers refuse the message"
        "leave one"
    BccPresent "bcc-present" Warning
        "there is a Bcc field"
        "it tells everybody who was not to be told, unless a relay takes it out"
        "take it out before signing; name the recipients in the envelope"
    TraceField "trace-field" Note
        "a field is there that relays write, before the message is signed"
        "it looks as if the message had travelled before; what relays write is not signed"
        "take it out of a message of your own"

    // Characters and names in the header.
    Utf8Header "utf8-header" Warning
        "UTF-8 in the header"
        "it needs SMTPUTF8 at every hop (RFC 6531); where that is missing, the field is recoded or the message refused"
        "write text and names in encoded words (RFC 2047), parameters as RFC 2231 has it, and domains in their ASCII form; an address whose left side is not ASCII needs SMTPUTF8"
    EightBitHeader "eight-bit-header" Error
        "bytes in the header that are neither ASCII nor UTF-8"
        "nothing allows them (RFC 5322 §2.2, RFC 6532 §3.1); they are replaced, or the message is refused"
        "write them in encoded words (RFC 2047)"
    EncodedWordBroken "encoded-word-broken" Warning
        "an encoded word that is malformed"
        "gateways write such text anew (RFC 2047 §2)"
        "write =?utf-8?Q?text?=, without a blank in it"
    EncodedWordLong "encoded-word-long" Note
        "an encoded word of more than 75 characters"
        "it is not one by RFC 2047 §2, and gateways write it anew"
        "make several of it, with a blank or a fold between"
    EncodedWordQuoted "encoded-word-quoted" Warning
        "an encoded word within quotes"
        "it is not one there (RFC 2047 §5), and gateways take the quotes away"
        "leave the quotes out: =?utf-8?Q?J=C3=BCrgen?= <local@domain>"
    NameUnquoted "name-unquoted" Warning
        "a name of a mailbox with `.` `,` `@` or another special character, without quotes"
        "that is obsolete or illegal (RFC 5322 §3.2.3 and §4.1); Sendmail, Microsoft and others put quotes round it"
        "put the name in quotes: \"Dr. Anna Smith\" <local@domain>"
    NameApostrophe "name-apostrophe" Note
        "a name of a mailbox with an apostrophe, without quotes"
        "it is legal, but Sendmail puts quotes round it (MustQuoteChars)"
        "put the name in quotes, or use \u{2019} in an encoded word"
    NameNeedlesslyQuoted "name-needlessly-quoted" Note
        "a name of a mailbox in quotes that needs none"
        "it is legal, but some receivers write it anew without them before they verify (seen at Gmail)"
        "write the name without quotes"
    AddressWithoutDomain "address-without-domain" Warning
        "an address without a domain, or a name with a comma that is not in quotes"
        "relays put a domain of their own behind it, or refuse it (RFC 5322 §3.4.1)"
        "write local@domain; put a name with a comma in quotes"

    // MIME (RFC 2045, 2046).
    MimeVersionMissing "mime-version-missing" Warning
        "MIME fields without MIME-Version"
        "it is required (RFC 2045 §4); gateways add it, or rewrite the message as plain text"
        "write MIME-Version: 1.0"
    ContentTypeBroken "content-type-broken" Warning
        "a Content-Type that is malformed"
        "it is read as text/plain (RFC 2045 §5.2) or guessed, and gateways write it anew"
        "write type/subtype; name=value, a value with special characters in quotes"
    EncodingUnknown "encoding-unknown" Warning
        "a Content-Transfer-Encoding that RFC 2045 does not know"
        "hardly a reader can decode it (RFC 2045 §6.4), and gateways encode the part anew"
        "use 7bit, 8bit, quoted-printable or base64"
    CompositeEncoded "composite-encoded" Error
        "a multipart or message that is itself encoded"
        "RFC 2045 §6.4 forbids it; gateways decode it, or show nothing"
        "encode the parts within it"
    BinaryEncoding "binary-encoding" Warning
        "Content-Transfer-Encoding: binary"
        "it needs BINARYMIME at every hop (RFC 3030); others encode the part anew or refuse it"
        "use base64"
    UndeclaredEightBit "undeclared-eight-bit" Warning
        "8-bit bytes in a part that is not declared 8bit"
        "a relay that knows of the bytes declares or encodes them (RFC 2045 §6.2), which breaks the signature"
        "use quoted-printable or base64, or declare Content-Transfer-Encoding: 8bit"
    DeclaredEightBit "declared-eight-bit" Note
        "a part in 8bit"
        "a relay without 8BITMIME has it encoded anew on the way (RFC 6376 §5.3), which breaks the signature"
        "use quoted-printable or base64"
    CharsetMissing "charset-missing" Warning
        "a text beyond ASCII without a charset"
        "it counts as US-ASCII (RFC 2046 §4.1.2); gateways and lists guess, and write it anew"
        "write Content-Type: text/plain; charset=utf-8"
    CharsetWrong "charset-wrong" Warning
        "a text that is not in the charset that it declares"
        "gateways that recode it change what they cannot read"
        "declare the charset that the text is in, such as utf-8"
    BoundaryMissing "boundary-missing" Error
        "a multipart without a boundary"
        "it has no parts (RFC 2046 §5.1.1); gateways make something else of it"
        "write Content-Type: multipart/mixed; boundary=\"...\""
    BoundaryTooLong "boundary-too-long" Warning
        "a boundary of more than 70 characters"
        "RFC 2046 §5.1.1 allows 70; gateways that rebuild the message choose another"
        "choose a shorter one"
    BoundaryUnquoted "boundary-unquoted" Warning
        "a boundary with special characters, without quotes"
        "such characters need them (RFC 2045 §5.1); gateways put them there, which breaks the signature"
        "put it in quotes: boundary=\"=_x\""
    BoundaryIllegal "boundary-illegal" Warning
        "a boundary with characters that none may have"
        "RFC 2046 §5.1.1 lists what may stand there; readers do not find the parts"
        "use letters, digits, and '()+_,-./:=? alone"
    BoundaryAmbiguous "boundary-ambiguous" Warning
        "a boundary that begins with that of a part around it"
        "readers that compare the beginning alone see other parts than those that compare all of it (RFC 2046 §5.1.2)"
        "choose boundaries of which none begins with another"
    BoundaryNotFound "boundary-not-found" Error
        "a multipart in which its boundary never stands"
        "it has no parts (RFC 2046 §5.1.1); gateways make something else of it"
        "begin each part with -- and the boundary on a line of its own"
    PartUnclosed "part-unclosed" Warning
        "a multipart that does not end with its boundary"
        "gateways add the end (RFC 2046 §5.1.1), and what is appended later becomes a part of it"
        "end it with --, the boundary and -- on a line of its own"
    PartHeaderBroken "part-header-broken" Warning
        "a line in the header of a part that is no field"
        "some readers take it for the begin of the text, others pass over it"
        "begin each part with its fields, and an empty line behind them"
    MimeTooDeep "mime-too-deep" Warning
        "parts within parts beyond a depth of 20"
        "scanners refuse what they cannot unpack"
        "nest fewer parts"
    QpBroken "qp-broken" Warning
        "quoted-printable with a = that encodes nothing"
        "gateways that decode it write it anew (RFC 2045 §6.7)"
        "write = as =3D"
    QpLineLong "qp-line-long" Note
        "a line of quoted-printable of more than 76 characters"
        "RFC 2045 §6.7 allows 76; relays let it pass, but gateways that encode the part anew break it elsewhere"
        "break lines with = at the end"
    QpTrailingBlank "qp-trailing-blank" Warning
        "a line of quoted-printable that ends with a blank"
        "a decoder must take it for something that a relay has added (RFC 2045 §6.7), and gateways take it away"
        "write the last blank as =20"
    Base64Broken "base64-broken" Warning
        "base64 with characters that are none, or that ends too early"
        "decoders pass over them or stop (RFC 2045 §6.8), and gateways write it anew"
        "encode the part anew"
    Base64LineLong "base64-line-long" Note
        "a line of base64 of more than 76 characters"
        "RFC 2045 §6.8 allows 76; relays let it pass, but gateways that encode the part anew break it elsewhere"
        "break the lines at 76 characters"
    HtmlOnly "html-only" Note
        "HTML without a plain text beside it"
        "mailing lists and scanners make a text of it, or add one"
        "send multipart/alternative with text/plain first"

    // Signatures.
    SignatureBroken "signature-broken" Error
        "a DKIM-Signature that nobody can verify"
        "it cannot be read by RFC 6376 §3.5"
        "take it out, and sign anew"
    SameSignature "same-signature" Warning
        "a signature of the same domain and selector is there already"
        "the message was signed before; some receivers count two of a kind as a fault"
        "take the old one out, or do not sign again"
    SeveralSignatures "several-signatures" Note
        "several DKIM-Signature fields"
        "Amazon SES refuses a message with two (Duplicate header 'DKIM-Signature')"
        "send through SES with one signature, or let SES sign"
    TooManySignatures "too-many-signatures" Warning
        "more than three signatures"
        "OpenDKIM verifies three unless told otherwise, rspamd five; the rest is passed over"
        "take out those that no longer hold"
    Sha1 "rsa-sha1" Error
        "a signature with rsa-sha1"
        "verifiers must not take it (RFC 8301 §3.1)"
        "sign with rsa-sha256"
    Ed25519Alone "ed25519-alone" Warning
        "Ed25519 without an RSA signature beside it"
        "Gmail and Microsoft do not verify Ed25519 (RFC 8463 §3 asks for both)"
        "sign with an RSA key too; the program does so in one pass"
    KeyTooSmall "key-too-small" Error
        "an RSA key under 1024 bits"
        "verifiers must not take it (RFC 8301 §3.2)"
        "make a new key: dkimkit generate -b 2048"
    SmallKey "small-key" Warning
        "an RSA key under 2048 bits"
        "RFC 8301 §3.2 asks for 2048, and receivers trust less than that no longer"
        "make a new key: dkimkit generate -b 2048"
    LargeKey "large-key" Warning
        "an RSA key over 4096 bits"
        "verifiers need not take it (RFC 8301 §3.2), and its record does not fit into a packet"
        "make a new key: dkimkit generate -b 2048"
    BodyLength "body-length" Warning
        "a signature with l="
        "anybody can add to the body (RFC 6376 §8.2); receivers refuse or distrust it"
        "sign without l="
    ExpiresSoon "expires-soon" Warning
        "a signature that holds for less than a day"
        "queues try for days (RFC 5321 §4.5.4.1), and greylisting takes hours"
        "let it hold for a week or two: --expires 14d"
    SimpleHeader "simple-header" Note
        "the header is signed with simple"
        "every change of a fold or a blank breaks it (RFC 6376 §3.4.1), and relays make such changes"
        "sign with relaxed"
    NotAligned "not-aligned" Warning
        "no signature is aligned with From"
        "DMARC counts the signature of no other domain"
        "sign with the domain of From"
    FieldUnsigned "field-unsigned" Note
        "a field that readers see or that decides how the message is read is not in h="
        "whoever resends the message can change it (RFC 6376 §5.4.1)"
        "add it to h="
    NotOversigned "not-oversigned" Note
        "From is not named once more in h= than it is there"
        "a second From can be added without breaking the signature (RFC 6376 §8.15)"
        "name it once more: --oversign from"
    UnstableFieldSigned "unstable-field-signed" Warning
        "h= names a field that changes on the way"
        "relays and receivers add, change or drop it (RFC 6376 §5.4)"
        "take it out of h="
    UnsubscribeUnsigned "unsubscribe-unsigned" Warning
        "List-Unsubscribe or List-Unsubscribe-Post is not in h="
        "one-click needs both signed (RFC 8058 §4), or Gmail and Yahoo do not offer it"
        "add both to h="
    OneClickBroken "one-click-broken" Warning
        "List-Unsubscribe-Post without a List-Unsubscribe that has an https: address, or with another text"
        "one-click needs both (RFC 8058 §3.1)"
        "write List-Unsubscribe: <https://...> and List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    OneClickMissing "one-click-missing" Note
        "List-Unsubscribe with an https: address, but no List-Unsubscribe-Post"
        "Gmail and Yahoo ask bulk senders for one-click (RFC 8058)"
        "add List-Unsubscribe-Post: List-Unsubscribe=One-Click"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_readme_shows_the_table_of_words() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(path).unwrap();
        let row = |row: &Word| {
            let severity = row.severity.as_str();
            format!("| `{}` | {severity} | {} |\n", row.word, row.meaning)
        };
        let rows: String = WORDS.iter().map(row).collect();
        let table = format!("| word | severity | meaning |\n|---|---|---|\n{rows}");
        assert!(
            readme.contains(&table),
            "the README should hold this table:\n\n{table}"
        );
    }

    #[test]
    fn each_fault_has_its_own_row_and_its_own_word() {
        for (at, row) in WORDS.iter().enumerate() {
            assert_eq!(row.fault.row(), row);
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(row.word.chars().all(kebab), "{}", row.word);
            assert!(!row.mend.ends_with('.') && !row.why.ends_with('.'));
            assert!(WORDS[..at].iter().all(|other| other.word != row.word));
        }
    }
}
