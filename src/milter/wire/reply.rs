//! What a milter says to an MTA (`SMFIR_*` in libmilter).

use super::field::{put_field, put_line};
use super::{
    Actions, Data, EncodeError, Frame, MAX_REPLY_DATA, Negotiation, WireError, packet, put_string,
};

/// A reply, or one change of several before the reply to the end of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `O`: what the milter wants of what the MTA can do.
    Negotiate(Negotiation),
    /// `c`
    Continue,
    /// `a`: no more of this message, or of this connection.
    Accept,
    /// `d`: the message is taken and thrown away.
    Discard,
    /// `r`: 5yz
    Reject,
    /// `t`: 4yz
    TempFail,
    /// `y`: a refusal in words.
    Text(ReplyText),
    /// `p`: the answer is still to come.
    Progress,
    /// `s`: no more of the body.
    Skip,
    /// A change of the message.
    Modify(Modification),
}

/// A change of a message; only the end of a message may be answered so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modification {
    /// `h`: a field behind all others.
    AddHeader {
        /// Its name.
        name: Vec<u8>,
        /// What stands behind the colon, folded with LF.
        value: Vec<u8>,
    },
    /// `i`: a field at a place.
    InsertHeader {
        /// How many fields stand before it. With Sendmail and Postfix, the first of them is the Received field
        /// that the MTA itself has put there, and that no milter is shown: 0 is the top of what is delivered,
        /// above that field, and 1 the place below it, right above what came. Once a milter has inserted
        /// something at 0, the MTA's field counts like any other.
        index: u32,
        /// Its name.
        name: Vec<u8>,
        /// What stands behind the colon, folded with LF.
        value: Vec<u8>,
    },
    /// `m`: another value for a field; an empty one deletes it.
    ChangeHeader {
        /// Which of the fields with that name among those that came, the first being 1. There is no 0:
        /// Sendmail and Postfix would take it for 1.
        index: u32,
        /// Its name.
        name: Vec<u8>,
        /// What stands behind the colon, folded with LF.
        value: Vec<u8>,
    },
    /// `q`: the message is held back.
    Quarantine {
        /// Why.
        reason: Vec<u8>,
    },
    /// `+`, or `2` with parameters.
    AddRecipient {
        /// The address, in angle brackets.
        address: Vec<u8>,
        /// ESMTP parameters.
        parameters: Option<Vec<u8>>,
    },
    /// `-`
    DeleteRecipient {
        /// The address, in angle brackets, as RCPT gave it.
        address: Vec<u8>,
    },
    /// `e`: another sender.
    ChangeSender {
        /// The address, in angle brackets.
        address: Vec<u8>,
        /// ESMTP parameters.
        parameters: Option<Vec<u8>>,
    },
    /// `b`: another body, in as many packets as it needs.
    ReplaceBody(Vec<u8>),
}

impl Modification {
    /// Deletes a field: which of those with that name, the first being 1.
    pub fn delete_header(name: impl Into<Vec<u8>>, index: u32) -> Modification {
        Modification::ChangeHeader {
            index,
            name: name.into(),
            value: Vec::new(),
        }
    }

    /// What must be negotiated for it.
    pub fn needs(&self) -> Actions {
        match self {
            Modification::AddHeader { .. } | Modification::InsertHeader { .. } => {
                Actions::ADD_HEADERS
            }
            Modification::ChangeHeader { .. } => Actions::CHANGE_HEADERS,
            Modification::Quarantine { .. } => Actions::QUARANTINE,
            Modification::AddRecipient {
                parameters: None, ..
            } => Actions::ADD_RECIPIENTS,
            Modification::AddRecipient { .. } => Actions::ADD_RECIPIENTS_WITH_PARAMETERS,
            Modification::DeleteRecipient { .. } => Actions::DELETE_RECIPIENTS,
            Modification::ChangeSender { .. } => Actions::CHANGE_SENDER,
            Modification::ReplaceBody(_) => Actions::CHANGE_BODY,
        }
    }

    fn parse(code: u8, data: &mut Data<'_>) -> Result<Modification, WireError> {
        const NAME: &str = "the name of a field";
        const VALUE: &str = "the value of a field";
        Ok(match code {
            b'h' => Modification::AddHeader {
                name: data.string(NAME)?.to_vec(),
                value: data.string(VALUE)?.to_vec(),
            },
            b'i' => Modification::InsertHeader {
                index: data.u32("the place of a field")?,
                name: data.string(NAME)?.to_vec(),
                value: data.string(VALUE)?.to_vec(),
            },
            b'm' => Modification::ChangeHeader {
                index: data.u32("the place of a field")?,
                name: data.string(NAME)?.to_vec(),
                value: data.string(VALUE)?.to_vec(),
            },
            b'q' => Modification::Quarantine {
                reason: data.string("the reason of a quarantine")?.to_vec(),
            },
            b'+' | b'2' => Modification::AddRecipient {
                address: data.string("a recipient")?.to_vec(),
                parameters: match code {
                    b'2' => Some(data.string("ESMTP parameters")?.to_vec()),
                    _ => None,
                },
            },
            b'-' => Modification::DeleteRecipient {
                address: data.string("a recipient")?.to_vec(),
            },
            b'e' => Modification::ChangeSender {
                address: data.string("the sender")?.to_vec(),
                parameters: match data.0 {
                    [] => None,
                    _ => Some(data.string("ESMTP parameters")?.to_vec()),
                },
            },
            b'b' => Modification::ReplaceBody(data.rest().to_vec()),
            code => return Err(WireError::UnknownCode { code }),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let one = |out: &mut Vec<u8>, code, parts: &dyn Fn(&mut Vec<u8>) -> _| {
            packet(out, code, MAX_REPLY_DATA, |out| parts(out))
        };
        let address = |out: &mut Vec<u8>, code, address: &[u8], parameters: &Option<Vec<u8>>| {
            packet(out, code, MAX_REPLY_DATA, |out| {
                put_line(out, address, "an address")?;
                match parameters {
                    Some(parameters) => put_line(out, parameters, "ESMTP parameters"),
                    None => Ok(()),
                }
            })
        };
        match self {
            Modification::AddHeader { name, value } => {
                one(out, b'h', &|out| put_field(out, name, value))
            }
            Modification::InsertHeader { index, name, value } => one(out, b'i', &|out| {
                out.extend(index.to_be_bytes());
                put_field(out, name, value)
            }),
            Modification::ChangeHeader { index: 0, .. } => Err(EncodeError::NoSuchField),
            Modification::ChangeHeader { index, name, value } => one(out, b'm', &|out| {
                out.extend(index.to_be_bytes());
                put_field(out, name, value)
            }),
            Modification::Quarantine { reason } => {
                one(out, b'q', &|out| put_line(out, reason, "a reason"))
            }
            Modification::AddRecipient {
                address: to,
                parameters,
            } => {
                let code = if parameters.is_some() { b'2' } else { b'+' };
                address(out, code, to, parameters)
            }
            Modification::DeleteRecipient { address: to } => address(out, b'-', to, &None),
            Modification::ChangeSender {
                address: from,
                parameters,
            } => address(out, b'e', from, parameters),
            Modification::ReplaceBody(body) if body.is_empty() => one(out, b'b', &|_| Ok(())),
            Modification::ReplaceBody(body) => body.chunks(MAX_REPLY_DATA).try_for_each(|chunk| {
                packet(out, b'b', MAX_REPLY_DATA, |out| {
                    out.extend(chunk);
                    Ok(())
                })
            }),
        }
    }
}

impl Reply {
    /// Reads a packet that a milter sent.
    ///
    /// # Errors
    /// [`WireError`]: it is no reply, or its data is too short, too long or not terminated.
    pub fn parse(frame: Frame<'_>) -> Result<Reply, WireError> {
        let mut data = Data(frame.data);
        let reply = match frame.code {
            b'O' => return Negotiation::parse(data).map(Reply::Negotiate),
            b'c' => Reply::Continue,
            b'a' => Reply::Accept,
            b'd' => Reply::Discard,
            b'r' => Reply::Reject,
            b't' => Reply::TempFail,
            b'y' => {
                let text = data.string("the text of a reply")?;
                let text = ReplyText::parse(text);
                Reply::Text(text.map_err(|error| WireError::ReplyText { error })?)
            }
            b'p' => Reply::Progress,
            b's' => Reply::Skip,
            code => Reply::Modify(Modification::parse(code, &mut data)?),
        };
        data.end(frame.code)?;
        Ok(reply)
    }

    /// Appends the packet; a long body becomes several.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let code = match self {
            Reply::Negotiate(negotiation) => {
                return packet(out, b'O', MAX_REPLY_DATA, |out| negotiation.put(out));
            }
            Reply::Text(text) => {
                return packet(out, b'y', MAX_REPLY_DATA, |out| {
                    put_string(out, text.to_wire().as_bytes(), "the text of a reply")
                });
            }
            Reply::Modify(modification) => return modification.encode(out),
            Reply::Continue => b'c',
            Reply::Accept => b'a',
            Reply::Discard => b'd',
            Reply::Reject => b'r',
            Reply::TempFail => b't',
            Reply::Progress => b'p',
            Reply::Skip => b's',
        };
        packet(out, code, 0, |_| Ok(()))
    }
}

/// What an SMTP client is told: a code of 400 to 599, an enhanced code of the same class (RFC 3463), and
/// lines of text.
///
/// The enhanced code is not optional: Postfix refuses a reply without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyText {
    code: u16,
    subject: u16,
    detail: u16,
    lines: Vec<String>,
}

impl ReplyText {
    /// A reply; `text` is cut into lines at LF.
    ///
    /// ```
    /// use dkimkit::milter::wire::ReplyText;
    /// let reply = ReplyText::new(550, 7, 20, "No passing DKIM signature found")?;
    /// assert_eq!(reply.to_string(), "550 5.7.20 No passing DKIM signature found");
    /// # Ok::<(), dkimkit::milter::wire::ReplyTextError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReplyTextError`]
    pub fn new(
        code: u16,
        subject: u16,
        detail: u16,
        text: &str,
    ) -> Result<ReplyText, ReplyTextError> {
        if !(400..600).contains(&code) {
            return Err(ReplyTextError::Code { code });
        }
        // RFC 3463 §2
        if subject > 999 || detail > 999 {
            return Err(ReplyTextError::Enhanced);
        }
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        if lines.len() > MAX_LINES {
            return Err(ReplyTextError::Lines { lines: lines.len() });
        }
        for line in &lines {
            let printable = |b: u8| b == b' ' || b.is_ascii_graphic();
            if line.is_empty() || !line.bytes().all(printable) {
                return Err(ReplyTextError::NotPrintable);
            }
            if line.len() > MAX_LINE {
                let length = line.len();
                return Err(ReplyTextError::LongLine { length });
            }
        }
        Ok(ReplyText {
            code,
            subject,
            detail,
            lines,
        })
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    fn parse(wire: &[u8]) -> Result<ReplyText, ReplyTextError> {
        let wire = std::str::from_utf8(wire).map_err(|_| ReplyTextError::NotPrintable)?;
        let mut text = String::new();
        let mut numbers = None;
        for line in wire.split("\r\n") {
            let (code, rest) = line.split_at_checked(3).ok_or(ReplyTextError::Layout)?;
            let rest = rest.strip_prefix([' ', '-']);
            let (enhanced, words) = rest
                .and_then(|rest| rest.split_once(' '))
                .ok_or(ReplyTextError::Layout)?;
            let parts: Vec<&str> = enhanced.split('.').collect();
            let [class, subject, detail] = parts[..] else {
                return Err(ReplyTextError::Enhanced);
            };
            if !code.starts_with(class) || class.len() != 1 {
                return Err(ReplyTextError::Enhanced);
            }
            let number = |digits: &str| digits.parse().map_err(|_| ReplyTextError::Enhanced);
            let own = (number(code)?, number(subject)?, number(detail)?);
            if *numbers.get_or_insert(own) != own {
                return Err(ReplyTextError::Layout);
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text += &words.replace("%%", "%");
        }
        let (code, subject, detail) = numbers.ok_or(ReplyTextError::Layout)?;
        ReplyText::new(code, subject, detail, &text)
    }

    /// A percent sign stands twice: Sendmail takes the text for a format.
    fn to_wire(&self) -> String {
        self.to_string().replace('%', "%%")
    }
}

impl std::fmt::Display for ReplyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (code, class) = (self.code, self.code / 100);
        for (at, line) in self.lines.iter().enumerate() {
            let (before, between) = match at + 1 == self.lines.len() {
                true => ("", ' '),
                false => ("\r\n", '-'),
            };
            write!(
                f,
                "{code}{between}{class}.{}.{} ",
                self.subject, self.detail
            )?;
            write!(f, "{line}{before}")?;
        }
        Ok(())
    }
}

/// The limits of libmilter.
const MAX_LINES: usize = 32;
const MAX_LINE: usize = 980;

/// Why a reply to an SMTP client is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyTextError {
    /// A code that refuses nothing.
    #[error("the code {code} is not between 400 and 599")]
    Code {
        /// The code.
        code: u16,
    },
    /// An enhanced code that is none, or of another class.
    #[error("the enhanced code is not one of RFC 3463, or of another class")]
    Enhanced,
    /// Too many lines.
    #[error("{lines} lines are more than 32")]
    Lines {
        /// How many there are.
        lines: usize,
    },
    /// A long line.
    #[error("a line of {length} octets is longer than 980")]
    LongLine {
        /// How long it is.
        length: usize,
    },
    /// An empty line, or one with what is not printable ASCII.
    #[error("a line is empty, or has more than printable ASCII")]
    NotPrintable,
    /// Lines without a code, or with different ones.
    #[error("a line has no code, or another one than the first")]
    Layout,
}
