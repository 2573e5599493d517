use super::*;

fn negotiation(macros: &[(MacroStage, &str)]) -> Negotiation {
    Negotiation {
        version: 6,
        actions: Actions::ADD_HEADERS | Actions::SET_MACROS,
        steps: Steps::SKIP | Steps::LEADING_SPACE,
        macros: macros
            .iter()
            .map(|(stage, names)| (*stage, names.as_bytes().to_vec()))
            .collect(),
    }
}

fn strings(bytes: &[u8]) -> Strings<'_> {
    Strings::parse(bytes).unwrap()
}

/// Code and data of each command, as an MTA sends it.
fn commands() -> Vec<(&'static [u8], Command<'static>)> {
    let host = &b"mx.example.org"[..];
    vec![
        (
            b"O\0\0\0\x06\0\0\x01\x01\0\x10\x04\0",
            Command::Negotiate(negotiation(&[])),
        ),
        (
            b"DM{auth_authen}\0anna\0i\0Q1\0",
            Command::Macros {
                of: b'M',
                values: strings(b"{auth_authen}\0anna\0i\0Q1\0"),
            },
        ),
        (
            b"DC",
            Command::Macros {
                of: b'C',
                values: Strings::default(),
            },
        ),
        (
            b"Cmx.example.org\x004\xd4\x31192.0.2.1\0",
            Command::Connect {
                host,
                peer: Peer::Inet {
                    port: 54321,
                    address: b"192.0.2.1",
                },
            },
        ),
        (
            b"Cmx.example.org\x006\0\x19IPv6:2001:db8::1\0",
            Command::Connect {
                host,
                peer: Peer::Inet6 {
                    port: 25,
                    address: b"IPv6:2001:db8::1",
                },
            },
        ),
        (
            b"Clocalhost\0L\0\0/run/x\0",
            Command::Connect {
                host: b"localhost",
                peer: Peer::Unix {
                    port: 0,
                    address: b"/run/x",
                },
            },
        ),
        (
            b"Cunknown\0U",
            Command::Connect {
                host: b"unknown",
                peer: Peer::Unknown,
            },
        ),
        (b"Hmx.example.org\0", Command::Helo(host)),
        (
            b"M<a@example.org>\0SIZE=5\0BODY=8BITMIME\0",
            Command::Mail(strings(b"<a@example.org>\0SIZE=5\0BODY=8BITMIME\0")),
        ),
        (b"M<>\0", Command::Mail(strings(b"<>\0"))),
        (
            b"R<\xc3\xa9@example.org>\0",
            Command::Rcpt(strings(b"<\xc3\xa9@example.org>\0")),
        ),
        (b"T", Command::Data),
        (
            b"LSubject\0 a\xe9\n\tb\0",
            Command::Header {
                name: b"Subject",
                value: b" a\xe9\n\tb",
            },
        ),
        (
            b"LX\0\0",
            Command::Header {
                name: b"X",
                value: b"",
            },
        ),
        (b"N", Command::EndOfHeader),
        (b"Bone\0two\r\n", Command::Body(b"one\0two\r\n")),
        (b"B", Command::Body(b"")),
        (b"E", Command::EndOfMessage(b"")),
        (b"Elast\r\n", Command::EndOfMessage(b"last\r\n")),
        (b"A", Command::Abort),
        (b"Q", Command::Quit),
        (b"K", Command::QuitNewConnection),
        (b"UXDEBUG 1\0", Command::Unknown(b"XDEBUG 1")),
    ]
}

/// Code and data of each reply, as an MTA takes it.
fn replies() -> Vec<(&'static [u8], Reply)> {
    let text = |code, text| Reply::Text(ReplyText::new(code, 7, 20, text).unwrap());
    let field = || (b"X-A".to_vec(), b" 1\n\t2".to_vec());
    let (name, value) = field();
    let modify = Reply::Modify;
    vec![
        (
            b"O\0\0\0\x06\0\0\x01\x01\0\x10\x04\0\0\0\0\x02{auth_type} i\0\0\0\0\x05\0",
            Reply::Negotiate(negotiation(&[
                (MacroStage::Mail, "{auth_type} i"),
                (MacroStage::EndOfMessage, ""),
            ])),
        ),
        (b"c", Reply::Continue),
        (b"a", Reply::Accept),
        (b"d", Reply::Discard),
        (b"r", Reply::Reject),
        (b"t", Reply::TempFail),
        (b"p", Reply::Progress),
        (b"s", Reply::Skip),
        (b"y550 5.7.20 100%% bad\0", text(550, "100% bad")),
        (
            b"y451-4.7.20 one\r\n451 4.7.20 two\0",
            text(451, "one\ntwo"),
        ),
        (
            b"hX-A\0 1\n\t2\0",
            modify(Modification::AddHeader { name, value }),
        ),
        (
            b"i\0\0\0\0X-A\0 1\n\t2\0",
            modify(Modification::InsertHeader {
                index: 0,
                name: field().0,
                value: field().1,
            }),
        ),
        (
            b"m\0\0\x01\x02X-A\0\0",
            modify(Modification::delete_header("X-A", 258)),
        ),
        (
            b"qspam\0",
            modify(Modification::Quarantine {
                reason: b"spam".to_vec(),
            }),
        ),
        (
            b"+<a@b>\0",
            modify(Modification::AddRecipient {
                address: b"<a@b>".to_vec(),
                parameters: None,
            }),
        ),
        (
            b"2<a@b>\0NOTIFY=NEVER\0",
            modify(Modification::AddRecipient {
                address: b"<a@b>".to_vec(),
                parameters: Some(b"NOTIFY=NEVER".to_vec()),
            }),
        ),
        (
            b"-<a@b>\0",
            modify(Modification::DeleteRecipient {
                address: b"<a@b>".to_vec(),
            }),
        ),
        (
            b"e<a@b>\0",
            modify(Modification::ChangeSender {
                address: b"<a@b>".to_vec(),
                parameters: None,
            }),
        ),
        (
            b"bHi\r\n",
            modify(Modification::ReplaceBody(b"Hi\r\n".to_vec())),
        ),
    ]
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).unwrap();
    [&length.to_be_bytes(), packet].concat()
}

fn frame(packet: &[u8]) -> Frame<'_> {
    let (&code, data) = packet.split_first().unwrap();
    Frame { code, data }
}

#[test]
fn commands_are_read_and_printed_byte_by_byte() {
    for (bytes, command) in commands() {
        let parsed = Command::parse(frame(bytes)).unwrap();
        assert_eq!(parsed, command);
        let mut out = b"before".to_vec();
        parsed.encode(&mut out).unwrap();
        assert_eq!(out, [b"before".to_vec(), framed(bytes)].concat());
    }
}

#[test]
fn replies_are_read_and_printed_byte_by_byte() {
    for (bytes, reply) in replies() {
        let mut out = Vec::new();
        reply.encode(&mut out).unwrap();
        assert_eq!(out, framed(bytes), "{reply:?}");
        assert_eq!(Reply::parse(frame(bytes)), Ok(reply));
    }
}

#[test]
fn every_cut_of_the_bytes_gives_the_same_packets() {
    let rows = commands();
    let all: Vec<u8> = rows.iter().flat_map(|(bytes, _)| framed(bytes)).collect();
    for size in 1..=all.len() {
        let mut frames = Frames::new(100);
        let mut expected = rows.iter();
        for chunk in all.chunks(size) {
            let mut input = chunk;
            while let Some(found) = frames.next(&mut input).unwrap() {
                let (bytes, command) = expected.next().unwrap();
                assert_eq!(found, frame(bytes));
                assert_eq!(Command::parse(found).as_ref(), Ok(command));
            }
            assert!(input.is_empty());
        }
        assert!(expected.next().is_none());
        assert!(!frames.is_within());
    }
}

#[test]
fn a_packet_that_is_cut_or_padded_is_an_error_with_its_facts() {
    let whole_to_the_end = |code| matches!(code, b'B' | b'E' | b'D' | b'M' | b'R' | b'b' | b'O');
    let both = commands().into_iter().map(|(bytes, _)| (bytes, true));
    let both = both.chain(replies().into_iter().map(|(bytes, _)| (bytes, false)));
    for (bytes, command) in both {
        let parse = |bytes: &[u8]| match command {
            true => Command::parse(frame(bytes)).map(|_| ()),
            false => Reply::parse(frame(bytes)).map(|_| ()),
        };
        for cut in 1..bytes.len() {
            if !(whole_to_the_end(bytes[0]) || bytes[0] == b'C' && bytes[cut - 1] == b'U') {
                let cut_off_at_parameters = bytes[0] == b'e' && bytes[cut - 1] == 0;
                assert!(parse(&bytes[..cut]).is_err() || cut_off_at_parameters);
            }
        }
        if !whole_to_the_end(bytes[0]) && bytes[0] != b'e' {
            let more = [bytes, b"x\0"].concat();
            let error = parse(&more).unwrap_err();
            let (code, octets) = (bytes[0], 2);
            assert_eq!(error, WireError::Trailing { code, octets });
        }
    }
}

#[test]
fn what_is_no_command_is_named() {
    let parse = |bytes: &'static [u8]| Command::parse(frame(bytes)).unwrap_err();
    assert_eq!(parse(b"c"), WireError::UnknownCode { code: b'c' });
    assert_eq!(parse(b"\0"), WireError::UnknownCode { code: 0 });
    assert_eq!(parse(b"DMi\0"), WireError::OddMacros);
    let what = "a macro";
    assert_eq!(parse(b"DMi\0x"), WireError::Unterminated { what });
    assert_eq!(parse(b"Cx\x00X"), WireError::UnknownFamily { family: b'X' });
    let what = "the sender";
    assert_eq!(parse(b"M"), WireError::Short { what });
    assert_eq!(parse(b"M<>"), WireError::Unterminated { what });
    let stage = b"O\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\x07\0";
    assert_eq!(parse(stage), WireError::UnknownStage { stage: 7 });
}

#[test]
fn lengths_are_held_to_the_limit_before_memory_is_taken() {
    let next = |mut input: &[u8]| Frames::new(8).next(&mut input).map(|f| f.is_some());
    assert_eq!(next(&[0, 0, 0, 0]), Err(WireError::Empty));
    assert_eq!(next(&framed(b"B1234567")), Ok(true));
    let (length, limit) = (9, 8);
    let long = framed(b"B12345678");
    assert_eq!(next(&long), Err(WireError::TooLong { length, limit }));
    let length = u32::MAX;
    assert_eq!(next(&[0xff; 4]), Err(WireError::TooLong { length, limit }));

    let mut frames = Frames::new(1 << 30);
    let mut input: &[u8] = b"\x10\0\0\0Bfew";
    assert_eq!(frames.next(&mut input), Ok(None));
    assert!(frames.is_within() && frames.payload.capacity() < 100);

    let big = framed(&vec![b'B'; 2 * KEPT]);
    let mut frames = Frames::new(4 * KEPT);
    for chunk in big.chunks(1000) {
        let mut input = chunk;
        frames.next(&mut input).unwrap();
        assert!(frames.payload.capacity() <= 2 * KEPT);
    }
    let mut input: &[u8] = b"\0\0\0\x01N";
    assert!(frames.next(&mut input).unwrap().is_some());
    assert!(frames.payload.capacity() <= KEPT);
}

#[test]
fn addresses_of_clients_are_found_in_both_spellings() {
    let port = 0;
    let v6 = |address| Peer::Inet6 { port, address }.ip();
    let v4 = |address| Peer::Inet { port, address }.ip();
    assert_eq!(v6(b"IPv6:::1"), "::1".parse().ok());
    assert_eq!(v6(b"2001:db8::1"), "2001:db8::1".parse().ok());
    assert_eq!(v4(b"127.0.0.1"), "127.0.0.1".parse().ok());
    assert_eq!(
        (v4(b"::1"), v6(b"127.0.0.1"), v4(b"\xff")),
        (None, None, None)
    );
}

#[test]
fn no_field_smuggles_in_another_one() {
    let encode = |name: &str, value: &[u8]| {
        let mut out = b"kept".to_vec();
        let (name, value) = (name.into(), value.to_vec());
        let result = Reply::Modify(Modification::AddHeader { name, value }).encode(&mut out);
        assert!(result.is_ok() || out == b"kept");
        result
    };
    assert_eq!(encode("X", b" \xff\n\ta\n b"), Ok(()));
    for value in [&b"a\nBcc: x"[..], b"a\n", b"a\n\n b", b"a\r\n b"] {
        assert_eq!(encode("X", value), Err(EncodeError::LineBreak));
    }
    for value in [&b" a\n "[..], b"a\n\t\n b", b"\n "] {
        assert_eq!(encode("X", value), Err(EncodeError::BlankLine));
    }
    for value in [&b"\n b"[..], b" ", b" \n b", b"", b"\t"] {
        assert_eq!(encode("X", value), Ok(()));
    }
    for name in ["", "X:", "X Y", "X ", "\u{e9}", "X\n"] {
        assert_eq!(encode(name, b""), Err(EncodeError::FieldName));
    }
    let what = "the value of a field";
    assert_eq!(encode("X", b"a\0b"), Err(EncodeError::Nul { what }));
    let (length, limit) = (65_536, MAX_REPLY_DATA);
    let long = vec![b'a'; 65_533];
    assert_eq!(encode("X", &long[1..]), Ok(()));
    assert_eq!(
        encode("X", &long),
        Err(EncodeError::TooLong { length, limit })
    );
}

#[test]
fn the_fields_of_a_name_are_counted_from_one() {
    let mut out = Vec::new();
    let change = |index| Reply::Modify(Modification::delete_header("X", index));
    assert_eq!(change(0).encode(&mut out), Err(EncodeError::NoSuchField));
    assert!(out.is_empty());
    assert_eq!(change(1).encode(&mut out), Ok(()));
}

#[test]
fn addresses_and_reasons_have_no_control_characters() {
    let all = |line: &[u8]| {
        let (address, reason) = (line.to_vec(), line.to_vec());
        let parameters = Some(line.to_vec());
        [
            Modification::Quarantine { reason },
            Modification::DeleteRecipient {
                address: line.to_vec(),
            },
            Modification::AddRecipient {
                address: line.to_vec(),
                parameters: None,
            },
            Modification::AddRecipient {
                address: b"<a@b>".to_vec(),
                parameters: parameters.clone(),
            },
            Modification::ChangeSender {
                address,
                parameters: None,
            },
            Modification::ChangeSender {
                address: b"<>".to_vec(),
                parameters,
            },
        ]
    };
    for octet in (1..0x20).chain([0x7f]).filter(|&octet| octet != b'\t') {
        for modification in all(&[b'<', octet, b' ', b'>']) {
            let mut out = Vec::new();
            let error = Reply::Modify(modification).encode(&mut out).unwrap_err();
            assert!(matches!(error, EncodeError::Control { octet: found, .. } if found == octet));
            assert!(out.is_empty());
        }
    }
    for modification in all(b"<\xc3\xa9\t \"a b\"@c>") {
        assert_eq!(Reply::Modify(modification).encode(&mut Vec::new()), Ok(()));
    }
}

#[test]
fn a_long_body_becomes_several_packets() {
    let mut out = Vec::new();
    let body = vec![b'x'; MAX_REPLY_DATA + 1];
    let reply = Reply::Modify(Modification::ReplaceBody(body));
    reply.encode(&mut out).unwrap();
    assert_eq!(out.len(), MAX_REPLY_DATA + 1 + 2 * 5);
    assert_eq!(out[out.len() - 6..], framed(b"bx"));
}

#[test]
fn replies_in_words_are_checked() {
    let new = |code, text| ReplyText::new(code, 7, 1, text).map(|_| ());
    for code in [0, 250, 399, 600, u16::MAX] {
        assert_eq!(new(code, "x"), Err(ReplyTextError::Code { code }));
    }
    for text in ["", "a\n", "a\rb", "\u{e9}", "a\0"] {
        assert_eq!(new(550, text), Err(ReplyTextError::NotPrintable));
    }
    let lines = 33;
    let many = vec!["x"; lines].join("\n");
    assert_eq!(new(550, &many), Err(ReplyTextError::Lines { lines }));
    let length = 981;
    let long = "x".repeat(length);
    assert_eq!(new(550, &long), Err(ReplyTextError::LongLine { length }));
    let parse = |text: &'static [u8]| match Reply::parse(frame(text)).unwrap_err() {
        WireError::ReplyText { error } => error,
        error => panic!("{error:?}"),
    };
    assert_eq!(parse(b"y550 4.7.1 x\0"), ReplyTextError::Enhanced);
    assert_eq!(parse(b"y550 x\0"), ReplyTextError::Layout);
    let mixed = b"y550-5.7.1 x\r\n551 5.7.1 y\0";
    assert_eq!(parse(mixed), ReplyTextError::Layout);
    assert_eq!(parse(b"y55\0"), ReplyTextError::Layout);
    assert_eq!(parse(b"y5\xc3\xa9\0"), ReplyTextError::Layout);
}
