//! What an MTA says to a milter (`SMFIC_*` in libmilter).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::flags::parse_macros;
use super::{Data, EncodeError, Frame, Negotiation, Strings, WireError, packet, put_string};

/// A command. Bytes are as they came: 8-bit, and folded with LF alone where the MTA does so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `O`: what the MTA can do.
    Negotiate(Negotiation),
    /// `D`: macros for the command that comes next.
    Macros {
        /// The code of that command.
        of: u8,
        /// Names and values in turn.
        values: Strings<'a>,
    },
    /// `C`: an SMTP client.
    Connect {
        /// Its name, or its address in brackets.
        host: &'a [u8],
        /// Its address.
        peer: Peer<'a>,
    },
    /// `H`: HELO or EHLO.
    Helo(&'a [u8]),
    /// `M`: the sender, and ESMTP parameters.
    Mail(Strings<'a>),
    /// `R`: a recipient, and ESMTP parameters.
    Rcpt(Strings<'a>),
    /// `T`: DATA.
    Data,
    /// `L`: a header field.
    Header {
        /// Its name.
        name: &'a [u8],
        /// What stands behind the colon; without [`Steps::LEADING_SPACE`](super::Steps::LEADING_SPACE),
        /// a blank there is gone.
        value: &'a [u8],
    },
    /// `N`: the end of the header.
    EndOfHeader,
    /// `B`: a piece of the body.
    Body(&'a [u8]),
    /// `E`: the end of the message, with what may be the last piece of the body.
    EndOfMessage(&'a [u8]),
    /// `A`: the message is no more.
    Abort,
    /// `Q`: the end.
    Quit,
    /// `K`: the end of this SMTP connection; another one follows on the same stream.
    QuitNewConnection,
    /// `U`: an SMTP command that the MTA does not know.
    Unknown(&'a [u8]),
}

/// The address of an SMTP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer<'a> {
    /// `4`
    Inet {
        /// Its port, or 0.
        port: u16,
        /// Its IPv4 address as text.
        address: &'a [u8],
    },
    /// `6`
    Inet6 {
        /// Its port, or 0.
        port: u16,
        /// Its IPv6 address as text, with `IPv6:` before it where Sendmail sends it.
        address: &'a [u8],
    },
    /// `L`
    Unix {
        /// A number without a meaning.
        port: u16,
        /// The path of its socket.
        address: &'a [u8],
    },
    /// `U`
    Unknown,
}

impl Peer<'_> {
    /// The address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Peer::Inet { address, .. } => {
                let text = std::str::from_utf8(address).ok()?;
                text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
            }
            Peer::Inet6 { address, .. } => {
                let bare = match address.split_at_checked(5) {
                    Some((tag, bare)) if tag.eq_ignore_ascii_case(b"IPv6:") => bare,
                    _ => address,
                };
                let text = std::str::from_utf8(bare).ok()?;
                text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
            }
            Peer::Unix { .. } | Peer::Unknown => None,
        }
    }

    fn parse<'a>(data: &mut Data<'a>) -> Result<Peer<'a>, WireError> {
        let [family] = data.octets("the family of an address")?;
        if family == b'U' {
            return Ok(Peer::Unknown);
        }
        if !matches!(family, b'4' | b'6' | b'L') {
            return Err(WireError::UnknownFamily { family });
        }
        let port = u16::from_be_bytes(data.octets("the port of a client")?);
        let address = data.string("the address of a client")?;
        Ok(match family {
            b'4' => Peer::Inet { port, address },
            b'6' => Peer::Inet6 { port, address },
            _ => Peer::Unix { port, address },
        })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (family, port, address) = match *self {
            Peer::Inet { port, address } => (b'4', port, address),
            Peer::Inet6 { port, address } => (b'6', port, address),
            Peer::Unix { port, address } => (b'L', port, address),
            Peer::Unknown => {
                out.push(b'U');
                return Ok(());
            }
        };
        out.push(family);
        out.extend(port.to_be_bytes());
        put_string(out, address, "the address of a client")
    }
}

impl<'a> Command<'a> {
    /// Reads a packet that an MTA sent.
    ///
    /// # Errors
    /// [`WireError`]: it is no command, or its data is too short, too long or not terminated.
    pub fn parse(frame: Frame<'a>) -> Result<Command<'a>, WireError> {
        let mut data = Data(frame.data);
        let command = match frame.code {
            b'O' => return Negotiation::parse(data).map(Command::Negotiate),
            b'D' => {
                let [of] = data.octets("the command of its macros")?;
                parse_macros(&mut data)?;
                let values = Strings::parse(data.rest())?;
                Command::Macros { of, values }
            }
            b'C' => Command::Connect {
                host: data.string("the name of a client")?,
                peer: Peer::parse(&mut data)?,
            },
            b'H' => Command::Helo(data.string("the name in HELO")?),
            b'M' => Command::Mail(data.strings("the sender")?),
            b'R' => Command::Rcpt(data.strings("a recipient")?),
            b'T' => Command::Data,
            b'L' => Command::Header {
                name: data.string("the name of a field")?,
                value: data.string("the value of a field")?,
            },
            b'N' => Command::EndOfHeader,
            b'B' => Command::Body(data.rest()),
            b'E' => Command::EndOfMessage(data.rest()),
            b'A' => Command::Abort,
            b'Q' => Command::Quit,
            b'K' => Command::QuitNewConnection,
            b'U' => Command::Unknown(data.string("an unknown command")?),
            code => return Err(WireError::UnknownCode { code }),
        };
        data.end(frame.code)?;
        Ok(command)
    }

    /// The octet that says what it is.
    pub fn code(&self) -> u8 {
        match self {
            Command::Negotiate(_) => b'O',
            Command::Macros { .. } => b'D',
            Command::Connect { .. } => b'C',
            Command::Helo(_) => b'H',
            Command::Mail(_) => b'M',
            Command::Rcpt(_) => b'R',
            Command::Data => b'T',
            Command::Header { .. } => b'L',
            Command::EndOfHeader => b'N',
            Command::Body(_) => b'B',
            Command::EndOfMessage(_) => b'E',
            Command::Abort => b'A',
            Command::Quit => b'Q',
            Command::QuitNewConnection => b'K',
            Command::Unknown(_) => b'U',
        }
    }

    /// Appends the packet, as an MTA sends it.
    ///
    /// # Errors
    /// [`EncodeError`]: a string has a NUL; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet(out, self.code(), u32::MAX as usize - 1, |out| {
            match self {
                Command::Negotiate(negotiation) => negotiation.put(out)?,
                Command::Macros { of, values } => {
                    out.push(*of);
                    out.extend(values.as_bytes());
                }
                Command::Connect { host, peer } => {
                    put_string(out, host, "the name of a client")?;
                    peer.put(out)?;
                }
                Command::Helo(text) | Command::Unknown(text) => {
                    put_string(out, text, "an SMTP command")?;
                }
                Command::Mail(strings) | Command::Rcpt(strings) => out.extend(strings.as_bytes()),
                Command::Header { name, value } => {
                    put_string(out, name, "the name of a field")?;
                    put_string(out, value, "the value of a field")?;
                }
                Command::Body(bytes) | Command::EndOfMessage(bytes) => out.extend(*bytes),
                Command::Data
                | Command::EndOfHeader
                | Command::Abort
                | Command::Quit
                | Command::QuitNewConnection => {}
            }
            Ok(())
        })
    }
}
