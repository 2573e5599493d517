use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};

use super::*;

const TIMEOUT: Duration = Duration::from_millis(800);

/// A server that knows names of good.example and keeps silent about all others; how often it was asked for
/// a good one.
fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let mut message = Message::from_vec(&buffer[..len]).unwrap().into_response();
            let name = message.queries[0].name().clone();
            if !name.to_string().ends_with(".good.example.") {
                continue;
            }
            count.fetch_add(1, Ordering::SeqCst);
            let txt = RData::TXT(TXT::from_bytes(vec![b"v=DKIM1; p="]));
            message.add_answer(Record::from_rdata(name, 300, txt));
            socket.send_to(&message.to_vec().unwrap(), from).unwrap();
        }
    });
    (addr, asked)
}

fn lookups(server: SocketAddr, caps: Caps) -> Arc<Lookups> {
    let resolver = Resolver::with_nameserver(server, TIMEOUT).unwrap();
    let lookups = Lookups::with_caps(resolver, TIMEOUT, Policy::default(), Arc::default(), caps);
    Arc::new(lookups)
}

fn names(domain: &str, range: std::ops::Range<usize>) -> Vec<KeyName> {
    let name = |at| KeyName::published(&format!("s{at}._domainkey.{domain}")).unwrap();
    range.map(name).collect()
}

fn is_timeout(keys: &Keys) -> bool {
    format!("{keys:?}").contains("Temporary(Timeout)")
}

#[tokio::test]
async fn one_message_has_so_many_under_way_and_one_time_for_all() {
    let (server, asked) = server();
    let lookups = lookups(server, CAPS);
    let began = Instant::now();
    // Good ones make room for the next.
    let mut mixed = names("good.example", 0..25);
    mixed.extend(names("slow.example", 0..15));
    mixed.extend(names("good.example", 25..30));
    let gathering = lookups.gather(mixed);
    tokio::time::sleep(TIMEOUT / 2).await;
    assert_eq!(lookups.table().names.len(), CAPS.of_one_message);
    let keys = gathering.keys().await;
    assert!(began.elapsed() < TIMEOUT * 3 / 2, "{:?}", began.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 25);
    // Those that kept silent had all its turns to the end.
    let silent = keys.iter().filter(|(_, keys)| is_timeout(keys)).count();
    assert_eq!((silent, keys.len()), (10, 35));
}

#[tokio::test]
async fn a_slow_owner_does_not_delay_others() {
    let (server, _) = server();
    let caps = Caps {
        in_all: 20,
        of_one_owner: 5,
        of_one_message: 10,
    };
    let lookups = lookups(server, caps);
    let slow: Vec<Gathering> = (0..10)
        .map(|at| lookups.gather(names("slow.example", at * 20..at * 20 + 20)))
        .collect();
    tokio::time::sleep(TIMEOUT / 4).await;
    assert_eq!(lookups.turns.available_permits(), 15);
    let began = Instant::now();
    let keys = lookups.gather(names("good.example", 0..1)).keys().await;
    assert!(began.elapsed() < TIMEOUT / 2, "{:?}", began.elapsed());
    assert!(keys.len() == 1 && !is_timeout(&keys[0].1));
    let mut answers = 0;
    for gathering in slow {
        answers += gathering.keys().await.len();
    }
    // The others had no turn.
    assert!((5..=10).contains(&answers), "{answers}");
    tokio::time::sleep(TIMEOUT * 2).await;
    let table = lookups.table();
    assert!(
        table.names.is_empty() && table.owners.is_empty(),
        "{table:?}"
    );
}

#[tokio::test]
async fn beyond_the_cap_a_lookup_waits_for_its_turn() {
    let (server, asked) = server();
    let caps = Caps {
        in_all: 1,
        of_one_owner: 1,
        of_one_message: 10,
    };
    let lookups = lookups(server, caps);
    let gatherings: Vec<Gathering> = (0..8)
        .map(|at| lookups.gather(names(&format!("{}.good.example", at % 4), 0..2)))
        .collect();
    for gathering in gatherings {
        let keys = gathering.keys().await;
        assert!(keys.len() == 2 && !keys.iter().any(|(_, keys)| is_timeout(keys)));
    }
    // Whoever wants the same waits for the same.
    assert_eq!(asked.load(Ordering::SeqCst), 8);
    let slow = lookups.gather(names("slow.example", 0..1));
    tokio::time::sleep(TIMEOUT / 2).await;
    let keys = lookups.gather(names("good.example", 5..6)).keys().await;
    assert!(keys.len() == 1 && !is_timeout(&keys[0].1), "{keys:?}");
    assert!(is_timeout(&slow.keys().await[0].1));
}

#[tokio::test]
async fn what_a_message_no_longer_waits_for_does_not_begin() {
    let (server, _) = server();
    let lookups = lookups(server, CAPS);
    let gathering = lookups.gather(names("slow.example", 0..20));
    tokio::time::sleep(TIMEOUT / 4).await;
    drop(gathering);
    tokio::time::sleep(TIMEOUT * 3 / 2).await;
    assert!(lookups.table().names.is_empty());
}

#[test]
fn owners_are_told_apart_by_what_they_registered() {
    for (name, owner) in [
        ("s._domainkey.example.com", "example.com"),
        ("s._domainkey.a.b.example.com", "example.com"),
        ("s._domainkey.example.co.uk", "example.co.uk"),
        ("s._domainkey.mail.example.com.br", "example.com.br"),
        ("s._domainkey.co.example", "co.example"),
        ("s._domainkey.com", "_domainkey.com"),
        ("example.com", "example.com"),
        ("co.uk", "co.uk"),
        ("x", "x"),
    ] {
        assert_eq!(suffix(&KeyName::published(name).unwrap()), owner);
    }
}
