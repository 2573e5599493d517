//! What befalls the bytes of a whole message: line ends and byte order marks.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, wire};
use crate::coding;
use crate::random::Random;
use crate::signing::Plan;

const ENDS: &[Kind] = &[Kind::LineEnds, Kind::BlankLinesAdded];
const MARK: &[Kind] = &[Kind::ByteOrderMark];

pub(super) const EDITS: [Edit; 8] = [
    wire("CRLF became LF", ENDS, to_lf),
    wire("CRLF became CR", ENDS, to_cr),
    wire("CRLF became CR CR LF", ENDS, to_crcrlf),
    wire("line ends of the body alone", ENDS, body_alone),
    wire("bare ends became CRLF", ENDS, bare_mended),
    wire("one line end changed", ENDS, one_changed),
    wire("mark before the message", MARK, mark_first),
    wire("mark in the body", MARK, mark_in_body),
];

/// Replaces all; the way back is as plain as long as no such end stood there before.
fn replace(message: &mut Vec<u8>, from: usize, new: &[u8]) -> Fate {
    let tail = message.split_off(from);
    let bare = tail.iter().filter(|b| **b == b'\r').count()
        != tail.iter().filter(|b| **b == b'\n').count();
    let mut rest = tail.as_slice();
    let mut odd = bare;
    while let Some(at) = coding::find(rest, b"\r\n") {
        odd |= rest[..at].contains(&b'\r') || rest[..at].contains(&b'\n');
        message.extend_from_slice(&rest[..at]);
        message.extend_from_slice(new);
        rest = &rest[at + 2..];
    }
    message.extend_from_slice(rest);
    Fate::of(!odd)
}

fn to_lf(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    Some(replace(message, 0, b"\n"))
}

fn to_cr(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    Some(replace(message, 0, b"\r"))
}

/// A program that takes LF for CRLF where CRLF stands.
fn to_crcrlf(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    Some(replace(message, 0, b"\r\r\n"))
}

fn body_alone(rng: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    let body = coding::find(message, b"\r\n\r\n")? + 4;
    coding::find(&message[body..], b"\r\n")?;
    let new = *rng.pick(&[&b"\n"[..], b"\r", b"\r\r\n"]);
    Some(replace(message, body, new))
}

/// The message had a CR or LF alone, which was signed so; which it was can be tried.
fn bare_mended(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    let mut out = Vec::new();
    let mut mended = 0;
    for (at, byte) in message.iter().enumerate() {
        let lone_lf = *byte == b'\n' && (at == 0 || message[at - 1] != b'\r');
        let lone_cr = *byte == b'\r' && message.get(at + 1) != Some(&b'\n');
        mended += usize::from(lone_lf || lone_cr);
        match byte {
            _ if lone_lf || lone_cr => out.extend_from_slice(b"\r\n"),
            _ => out.push(*byte),
        }
    }
    *message = out;
    (mended > 0).then_some(Fate::of(mended == 1))
}

fn one_changed(rng: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    let body = coding::find(message, b"\r\n\r\n")? + 4;
    let ends: Vec<usize> = (body..message.len())
        .filter(|at| message[*at..].starts_with(b"\r\n"))
        .collect();
    if ends.is_empty() {
        return None;
    }
    let at = *rng.pick(&ends);
    let new = *rng.pick(&[&b"\n"[..], b"\r", b"\r\r\n"]);
    message.splice(at..at + 2, new.iter().copied());
    Some(Undoable)
}

fn mark_first(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    message.splice(0..0, *b"\xef\xbb\xbf");
    Some(Undoable)
}

fn mark_in_body(_: &mut Random, message: &mut Vec<u8>, _: &Plan) -> Option<Fate> {
    let body = coding::find(message, b"\r\n\r\n")? + 4;
    // In an empty body, it would be a text like any other.
    if message[body..].trim_ascii().is_empty() {
        return None;
    }
    message.splice(body..body, *b"\xef\xbb\xbf");
    Some(Undoable)
}
