//! What it does not start with, and what it says then.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::{Domain, SockAddr, Socket, Type};

use super::place::Place;
use super::signers;

/// It does not start, says so with a way out, and leaves nothing behind.
fn refused(place: &Place, words: &str) {
    let before = place.names();
    let (code, text) = place.run(&[]);
    assert_eq!(code, Some(2), "{text}");
    let said = text
        .lines()
        .find_map(|l| l.strip_prefix("dkimkit: error: "));
    assert!(
        said.is_some_and(|said| said.contains(words)),
        "{words}: {text}"
    );
    assert!(text.contains("\nhint: "), "{text}");
    assert_eq!(place.names(), before, "{text}");
}

#[test]
fn a_store_or_a_configuration_that_cannot_be_used_is_refused() {
    let place = Place::new("");
    fs::rename(place.path("keys"), place.path("away")).unwrap();
    refused(&place, "the key store DIR/keys: there is no such directory");
    fs::write(place.path("keys"), "").unwrap();
    refused(&place, "DIR/keys");
    fs::remove_file(place.path("keys")).unwrap();
    fs::rename(place.path("away"), place.path("keys")).unwrap();

    for (config, words) in [
        ("log = \"line\"\nnonsense = 1\n", "DIR/milter.toml: line "),
        (
            "listen = \"8891\"\n",
            "DIR/milter.toml: listen: \"8891\" is not an address",
        ),
        (
            "[signing]\non_error = \"drop\"\n",
            "DIR/milter.toml: signing.on_error: ",
        ),
        (
            "user = \"no.such.user\"\n",
            "user: there is no user no.such.user",
        ),
        (
            "socket_group = \"no.such.group\"\n",
            "there is no group no.such.group",
        ),
        (
            "log_to = \"syslog\"\nsyslog_facility = \"post\"\n",
            "syslog_facility",
        ),
    ] {
        place.configure(config);
        refused(&place, words);
    }
    fs::remove_file(place.path("milter.toml")).unwrap();
    refused(&place, "DIR/milter.toml: no such file");
}

#[test]
fn an_address_that_cannot_be_used_is_refused() {
    let place = Place::new("");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    place.configure(&format!("listen = \"inet:{port}@127.0.0.1\"\n"));
    refused(&place, &format!("inet:{port}@127.0.0.1: cannot listen: "));
    // One that was opened before the one that cannot be.
    place.configure(&format!(
        "listen = [\"unix:DIR/s\", \"inet:{port}@127.0.0.1\"]\n"
    ));
    refused(&place, "cannot listen: ");
    place.configure(&format!("[metrics]\nlisten = \"inet:{port}@127.0.0.1\"\n"));
    refused(&place, "cannot listen: ");
    place.configure("listen = \"unix:DIR/none/s\"\n");
    refused(&place, "unix:DIR/none/s: there is no directory DIR/none");
    place.configure("listen = \"inet:1234@no-such-host.invalid\"\n");
    refused(&place, "inet:1234@no-such-host.invalid: ");
    place.configure("listen = \"systemd\"\n");
    refused(&place, "systemd: systemd hands over no socket");
    place.configure("");
    fs::write(place.path("s"), "mine").unwrap();
    refused(&place, "unix:DIR/s: there is a file that is no socket");
    assert_eq!(fs::read(place.path("s")).unwrap(), b"mine");
}

#[test]
fn a_live_socket_is_left_alone_and_a_stale_one_is_not() {
    let place = Place::new("");
    let other = UnixListener::bind(place.path("s")).unwrap();
    refused(&place, "unix:DIR/s: somebody listens there already");
    UnixStream::connect(place.path("s")).unwrap();
    drop(other);
    let milter = place.start();
    assert_eq!(signers(&mut place.mta()), "a");
    refused(&place, "somebody listens there already");
    assert_eq!(signers(&mut place.mta()), "a");
    milter.end();
    // One that lives, and takes nobody in at the moment.
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let addr = SockAddr::unix(place.path("s")).unwrap();
    busy.bind(&addr).unwrap();
    busy.listen(0).unwrap();
    let waiting: Vec<Socket> = (0..3)
        .map_while(|_| {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&addr).ok().map(|()| socket)
        })
        .collect();
    assert!(waiting.len() < 3, "its queue is full");
    refused(&place, "somebody listens there already");
}
