//! `milter --dry-run`: plays the MTA for one message, and says what the milter would do with it.

mod told;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dkimkit::message::{Header, HeaderLimits};
use dkimkit::milter::config::LogLevel;
use dkimkit::milter::filter::Filter;
use dkimkit::milter::journal::{Entry, Journal};
use dkimkit::milter::keyring::Keyring;
use dkimkit::milter::wire::{
    Actions, Command, Frames, Negotiation, Peer, Reply, Steps, Strings, VERSION,
};
use dkimkit::milter::{Limits, serve};
use dkimkit::report::spaced_json;
use dkimkit::time::UnixTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use self::told::Told;
use super::{host_name, read_config};
use crate::cli::args::LineEnds;
use crate::cli::asking::block_on;
use crate::cli::input::{HeaderEnd, Message, Source};
use crate::cli::speech::{Trouble, escape, warning};
use crate::cli::{Exit, output};

/// What the MTA would say of the client.
#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// With --dry-run: the address of the client
    #[arg(
        long,
        value_name = "ADDR",
        requires = "dry_run",
        conflicts_with = "check",
        default_value = "192.0.2.1"
    )]
    client: IpAddr,
    /// With --dry-run: its host name
    #[arg(
        long,
        value_name = "NAME",
        requires = "dry_run",
        conflicts_with = "check"
    )]
    client_name: Option<String>,
    /// With --dry-run: the login of the client
    #[arg(
        long,
        value_name = "LOGIN",
        requires = "dry_run",
        conflicts_with = "check"
    )]
    auth_user: Option<String>,
    /// With --dry-run: the sender of the envelope
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "dry_run",
        conflicts_with = "check"
    )]
    mail_from: Option<String>,
    /// With --dry-run: another macro; may be given several times
    #[arg(
        long = "macro",
        value_name = "NAME=VALUE",
        requires = "dry_run",
        conflicts_with = "check"
    )]
    macros: Vec<String>,
}

/// Keeps what is told.
#[derive(Default)]
struct Kept(Mutex<Vec<Entry>>);

impl Journal for Kept {
    fn write(&self, entry: &Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry.clone());
    }
}

pub(super) fn run(
    config: &Path,
    message: &Path,
    args: &ClientArgs,
    json: bool,
) -> Result<Exit, Trouble> {
    let mut config = read_config(config)?;
    config.log = LogLevel::Why;
    let limits = config.limits.clone();
    let keyring = Keyring::load(&config, &Keyring::default());
    for trouble in keyring.troubles().iter().chain(keyring.warnings()) {
        warning(escape(trouble));
    }
    let (header, body) = read_message(message)?;
    let commands = commands(args, &header, &body)?;
    let kept = Arc::new(Kept::default());
    let clock = || super::daemon::clock();
    let filter = Filter::new(
        config,
        keyring,
        &host_name(),
        kept.clone(),
        clock as fn() -> UnixTime,
    )
    .map_err(Trouble::usage)?;
    let replies = block_on(play(filter, limits, commands))?;
    let entries = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    let replies = replies.map_err(|error| {
        // The log knows more than an MTA does.
        let why = entries.iter().rev().find_map(|entry| entry.get("detail"));
        let why = why.unwrap_or(&error);
        Trouble::new(Exit::TempFail, format!("the milter gives no answer: {why}"))
    })?;
    let entry = entries.last().cloned();
    let told = Told { entry, replies };
    match json {
        true => output::print(&format!("{}\n", spaced_json(&told.to_json())))?,
        false => output::print(&told.to_text())?,
    }
    Ok(told.exit())
}

/// The header and the body, with CRLF, as `verify` reads them. What is too large is for the milter to say.
fn read_message(path: &Path) -> Result<(Header, Vec<u8>), Trouble> {
    let limits = HeaderLimits {
        bytes: usize::MAX,
        fields: usize::MAX,
    };
    let mut opened = Source::from_arg(path).open()?;
    let name = opened.name.clone();
    let mut message = Message::new(&mut opened, LineEnds::Crlf, None);
    let header = match message.header(limits)? {
        HeaderEnd::Found(header) => header,
        HeaderEnd::Refused(error) => return Err(Trouble::from(error).about(&name)),
    };
    let mut body = Vec::new();
    while let Some(bytes) = message.next()? {
        body.extend_from_slice(bytes);
    }
    message.warn();
    Ok((header, body))
}

/// What an MTA would send for this message, packet by packet.
fn commands(args: &ClientArgs, header: &Header, body: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut packets = Vec::new();
    let mut put = |command: Command<'_>| {
        let mut packet = Vec::new();
        // Only a NUL in a name or value is refused, as an MTA would do.
        let encoded = command.encode(&mut packet);
        encoded.map_err(|error| Trouble::usage(format!("an MTA could not say this: {error}")))?;
        packets.push(packet);
        Ok::<(), Trouble>(())
    };
    let connect = macros(args.macros.iter().map(String::as_str))?;
    put(Command::Macros {
        of: b'C',
        values: Strings::parse(&connect).unwrap_or_default(),
    })?;
    let address = args.client.to_string();
    let host = match &args.client_name {
        Some(name) => name.clone(),
        None => format!("[{address}]"),
    };
    let peer = match args.client {
        IpAddr::V4(_) => Peer::Inet {
            port: 25,
            address: address.as_bytes(),
        },
        IpAddr::V6(_) => Peer::Inet6 {
            port: 25,
            address: address.as_bytes(),
        },
    };
    put(Command::Connect {
        host: host.as_bytes(),
        peer,
    })?;
    let login = args
        .auth_user
        .as_ref()
        .map(|login| format!("{{auth_authen}}={login}"));
    let login = macros(login.iter().map(String::as_str).chain(["i=dry-run"]))?;
    put(Command::Macros {
        of: b'M',
        values: Strings::parse(&login).unwrap_or_default(),
    })?;
    let sender = args.mail_from.as_deref().unwrap_or_default();
    let sender = format!("<{}>\0", sender.trim_matches(['<', '>']));
    put(Command::Mail(
        Strings::parse(sender.as_bytes()).unwrap_or_default(),
    ))?;
    for field in header.fields() {
        let (name, value) = field.raw().split_at(field.value_offset() - 1);
        // MTAs fold with LF alone.
        let lines = value[1..].split_inclusive(|b| *b == b'\n');
        let value: Vec<u8> = lines
            .flat_map(|line| match line.strip_suffix(b"\r\n") {
                Some(line) => [line, b"\n"].concat(),
                None => line.to_vec(),
            })
            .collect();
        put(Command::Header {
            name,
            value: &value,
        })?;
    }
    put(Command::EndOfHeader)?;
    for chunk in body.chunks(65_535) {
        put(Command::Body(chunk))?;
    }
    put(Command::EndOfMessage(b""))?;
    Ok(packets)
}

fn macros<'a>(pairs: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, value)| !name.is_empty() && !pair.contains('\0') && value.len() < 4096)
            .ok_or_else(|| Trouble::usage(format!("--macro: {pair:?} is not NAME=VALUE")))?;
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value.as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}

/// Sends the packets, and reads the answers to the end of the message.
async fn play(filter: Filter, limits: Limits, packets: Vec<Vec<u8>>) -> Result<Vec<Reply>, String> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let milter = tokio::spawn(async move {
        serve(theirs, &filter, &limits).await;
    });
    let talk = talk(ours, packets).await;
    let _ = milter.await;
    talk
}

async fn talk(stream: DuplexStream, packets: Vec<Vec<u8>>) -> Result<Vec<Reply>, String> {
    let (mut input, mut output) = tokio::io::split(stream);
    // What Postfix offers, as far as it matters here.
    let offer = Negotiation {
        version: VERSION,
        actions: Actions::ADD_HEADERS | Actions::CHANGE_HEADERS | Actions::QUARANTINE,
        steps: Steps::NO_HELO
            | Steps::NO_RCPT
            | Steps::NO_DATA
            | Steps::NO_REPLY_CONNECT
            | Steps::NO_REPLY_MAIL
            | Steps::NO_REPLY_HEADER
            | Steps::NO_REPLY_END_OF_HEADER
            | Steps::SKIP
            | Steps::LEADING_SPACE,
        macros: Vec::new(),
    };
    let mut first = Vec::new();
    Command::Negotiate(offer)
        .encode(&mut first)
        .map_err(|e| e.to_string())?;
    let send = async {
        output.write_all(&first).await?;
        for packet in &packets {
            output.write_all(packet).await?;
        }
        output.flush().await
    };
    let receive = async {
        let mut frames = Frames::new(1 << 24);
        let mut chunk = vec![0; 1 << 16];
        let mut replies = Vec::new();
        loop {
            let length = input.read(&mut chunk).await.map_err(|e| e.to_string())?;
            if length == 0 {
                return Err("it closed".to_owned());
            }
            let mut bytes = &chunk[..length];
            while let Some(frame) = frames.next(&mut bytes).map_err(|e| e.to_string())? {
                let reply = Reply::parse(frame).map_err(|e| e.to_string())?;
                let last = matches!(
                    reply,
                    Reply::Accept
                        | Reply::Reject
                        | Reply::TempFail
                        | Reply::Discard
                        | Reply::Text(_)
                );
                replies.push(reply);
                if last {
                    return Ok(replies);
                }
            }
        }
    };
    let (_, replies) = tokio::join!(send, receive);
    replies
}
