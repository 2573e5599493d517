//! The metrics over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use dkimkit::milter::{Listener, metrics};

use super::world::World;

/// What is answered to this.
fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // Who is sent away may not be heard to the end.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn readers_that_are_slow_large_or_many_are_sent_away() {
    let world = World::new("[verifying]\nnameservers = [NS]\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(metrics::serve(
        Listener::Tcp(listener),
        world.filter.clone(),
    ));
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = ask(addr, get);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("dkimkit_signing_keys 2\n"));
    assert!(ask(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(addr, "PUT / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let large = format!(
        "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    assert!(!ask(addr, &large).contains("200 OK"));
    // As many as there may be, who say nothing.
    let began = Instant::now();
    let silent: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(addr).unwrap()).collect();
    // Until all of them are taken, which a machine with other work does when it comes to it.
    let sent_away = (0..30).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        ask(addr, get).is_empty()
    });
    assert!(sent_away);
    for mut stream in silent {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(ask(addr, get).starts_with("HTTP/1.1 200 "));
}
