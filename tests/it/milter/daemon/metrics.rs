//! What is counted, for whoever asks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::place::Place;
use super::sockets::free_port;
use super::{begin_message, end_message, signers};
use crate::milter::service::PATIENCE;

fn ask<T: Read + Write>(mut stream: T, request: &str) -> (String, String) {
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

#[test]
fn the_metrics_move_with_the_mail() {
    let place = Place::new("");
    let port = free_port("127.0.0.1");
    place.configure(&format!("[metrics]\nlisten = \"inet:{port}@127.0.0.1\"\n"));
    let mut milter = place.start();
    // Readers that say nothing, or half of it, are in nobody's way.
    let silent: Vec<TcpStream> = (0..5).map(|_| tcp(port)).collect();
    (&silent[0]).write_all(b"GET /met").unwrap();
    let metrics = || {
        let (head, text) = ask(tcp(port), "GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.contains(kind), "{head}");
        assert!(text.ends_with("# EOF\n"));
        text
    };
    let signed = "dkimkit_messages_total{event=\"signed\",result=\"signed\",action=\"accept\"}";
    let verified = "dkimkit_messages_total{event=\"verified\",result=\"none\",action=\"accept\"}";
    let text = metrics();
    assert_eq!(value(&text, signed), None, "{text}");
    assert_eq!(value(&text, "dkimkit_signing_keys"), Some(1.0));
    assert_eq!(value(&text, "dkimkit_connections_open"), Some(0.0));
    let mut mta = place.mta();
    for count in [1.0, 2.0] {
        signers(&mut mta);
        begin_message(&mut mta, false);
        end_message(&mut mta);
        let text = metrics();
        assert_eq!(value(&text, signed), Some(count), "{text}");
        assert_eq!(value(&text, verified), Some(count), "{text}");
        assert_eq!(value(&text, "dkimkit_connections_open"), Some(1.0));
        let time = "dkimkit_message_seconds_count{event=\"signed\"}";
        assert_eq!(value(&text, time), Some(count), "{text}");
    }
    place.rotate();
    milter.reload();
    let text = metrics();
    let reloads = "dkimkit_reloads_total{result=\"done\"}";
    assert_eq!(value(&text, reloads), Some(1.0), "{text}");
    let since = "dkimkit_signing_key_since_seconds{domain=\"example.com\",selector=\"b\"}";
    assert_eq!(value(&text, since), Some(1_800_000_000.0), "{text}");
    assert!(!text.contains("selector=\"a\""), "{text}");

    assert!(ask(tcp(port), "GET /").0.starts_with("HTTP/1.1 404 "));
    assert!(
        ask(tcp(port), "GET /metrics/x")
            .0
            .starts_with("HTTP/1.1 404 ")
    );
    assert!(
        ask(tcp(port), "POST /metrics")
            .0
            .starts_with("HTTP/1.1 405 ")
    );
    assert_eq!(signers(&mut mta), "b");
    // They do not hold up the end either.
    milter.end();
    drop(silent);
}

#[test]
fn the_metrics_over_a_unix_socket() {
    let place = Place::new("[metrics]\nlisten = \"unix:DIR/m\"\n");
    let milter = place.start();
    let stream = UnixStream::connect(place.path("m")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (head, _) = ask(stream, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    milter.end();
    assert_eq!(place.names(), ["keys", "milter.toml"]);
}
