//! Lookups over the network, each answer from a real server on this machine.

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dkimkit::dns::system::{Resolver, ResolverError};
use dkimkit::dns::{Answer, Cause};
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::policy::Policy;
use dkimkit::record::KeyRecord;
use dkimkit::report::{ResultWord, overall};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::time::UnixTime;
use dkimkit::verify::Verifier;
use hickory_proto::op::ResponseCode;

use crate::nameserver::{CNAME_TTL, NameServer, Reply, Script, TXT_TTL, Transport};

/// Enough for an answer on a machine that does other work.
const LONG: Duration = Duration::from_secs(5);
/// For what never comes.
const SHORT: Duration = Duration::from_millis(600);

fn key(selector: &str) -> KeyName {
    let selector = Selector::new(selector).unwrap();
    KeyName::new(&selector, &Domain::new("example.com").unwrap()).unwrap()
}

fn resolver(server: &NameServer, timeout: Duration) -> Resolver {
    Resolver::with_nameserver(server.addr(), timeout).unwrap()
}

fn ask(resolver: &Resolver, name: &KeyName) -> Answer {
    let mut answers = resolver.lookup_all_blocking(std::slice::from_ref(name));
    assert_eq!(answers.len(), 1);
    let (asked, answer) = answers.pop().unwrap();
    assert_eq!(asked, *name);
    answer
}

/// A server with one name, and what a resolver that has so much time makes of it.
fn answer_within(timeout: Duration, reply: Reply) -> (Answer, NameServer) {
    let server = NameServer::start(Script::new().on(key("s").as_str(), reply));
    let began = Instant::now();
    let answer = ask(&resolver(&server, timeout), &key("s"));
    let took = began.elapsed();
    assert!(took < timeout + SHORT, "{took:?} is more than {timeout:?}");
    (answer, server)
}

fn answer(reply: Reply) -> Answer {
    answer_within(LONG, reply).0
}

/// The cause, which is known long before the time is over.
fn failure(reply: Reply) -> Cause {
    let began = Instant::now();
    let answer = answer(reply);
    let took = began.elapsed();
    assert!(took < LONG / 2, "{took:?}");
    match answer {
        Answer::Temporary(cause) => cause,
        other => panic!("{other:?}"),
    }
}

fn records(texts: &[&[u8]]) -> Answer {
    Answer::Records {
        txt: texts.iter().map(|text| text.to_vec()).collect(),
        ttl: Duration::from_secs(TXT_TTL.into()),
        secure: None,
    }
}

fn txt(answer: Answer) -> Vec<Vec<u8>> {
    match answer {
        Answer::Records { txt, .. } => txt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strings_are_joined_and_records_stay_apart_in_their_order() {
    let strings = |list: &[&str]| list.iter().map(|s| s.as_bytes().to_vec()).collect();
    let reply = Reply::records(vec![
        strings(&["v=DKIM1; ", "p=", "", "Zm9v"]),
        strings(&["another"]),
        strings(&["v=DKIM1; p="]),
    ]);
    let (answer, server) = answer_within(LONG, reply);
    assert_eq!(
        answer,
        records(&[b"v=DKIM1; p=Zm9v", b"another", b"v=DKIM1; p="])
    );
    assert_eq!(server.asked(key("s").as_str(), Transport::Udp), 1);
    assert_eq!(server.asked_in_all(), 1, "no search list, no other type");
}

#[test]
fn bytes_of_a_record_are_not_touched() {
    let all: Vec<u8> = (0..=255).chain(0..=255).collect();
    assert_eq!(answer(Reply::txt(&all)), records(&[&all]));
}

#[test]
fn a_name_that_does_not_exist_is_told_from_one_without_txt() {
    assert_eq!(answer(Reply::NoName), Answer::NoName);
    assert_eq!(answer(Reply::NoData), Answer::NoData);
    assert_eq!(answer(Reply::Code(ResponseCode::NXDomain)), Answer::NoName);
    assert_eq!(answer(Reply::Code(ResponseCode::NoError)), Answer::NoData);
}

#[test]
fn a_label_that_begins_with_a_hyphen_is_asked_for_like_any_other() {
    let selector = Selector::new("-x").unwrap();
    let domain = Domain::new("-a.example.com").unwrap();
    let odd = KeyName::new(&selector, &domain).unwrap();
    let server = NameServer::start(Script::zone(
        "-x._domainkey.-a.example.com. TXT \"v=DKIM1; p=\"\n-x._domainkey.example.com. A 192.0.2.1",
    ));
    let resolver = resolver(&server, LONG);
    assert_eq!(txt(ask(&resolver, &odd)), [b"v=DKIM1; p="]);
    // A sender chooses the name, and must not make a failure that lasts of it.
    assert_eq!(ask(&resolver, &key("-x")), Answer::NoData);
    assert_eq!(ask(&resolver, &key("-y")), Answer::NoName);
}

#[test]
fn a_failure_of_the_server_keeps_its_name_and_the_server_is_left_alone() {
    for (code, want) in [
        (ResponseCode::ServFail, Cause::ServerFailure),
        (ResponseCode::Refused, Cause::Refused),
        (ResponseCode::NotAuth, Cause::ServerFailure),
        (ResponseCode::Unknown(13), Cause::ServerFailure),
    ] {
        let (answer, server) = answer_within(LONG, Reply::Code(code));
        assert_eq!(answer, Answer::Temporary(want), "{code}");
        assert_eq!(server.asked_in_all(), 1, "{code}");
    }
    for code in [ResponseCode::FormErr, ResponseCode::NotImp] {
        let (answer, server) = answer_within(LONG, Reply::Code(code));
        assert_eq!(answer, Answer::Temporary(Cause::ServerFailure), "{code}");
        assert_eq!(server.asked_in_all(), 2, "{code}: once more without EDNS");
    }
}

#[test]
fn a_server_that_knows_no_edns_is_asked_without() {
    let reply = Reply::WithoutEdns(Box::new(Reply::txt("x")));
    assert_eq!(answer(reply), records(&[b"x"]));
}

#[test]
fn a_referral_does_not_say_that_there_is_no_key() {
    assert_eq!(failure(Reply::Referral), Cause::ServerFailure);
}

#[test]
fn a_cname_is_followed_whether_or_not_its_target_is_told_at_once() {
    let want = Answer::Records {
        txt: vec![b"x".to_vec()],
        ttl: Duration::from_secs(CNAME_TTL.into()),
        secure: None,
    };
    let chain = |names: &[&str], then: Reply| {
        Reply::Chain(
            names.iter().map(|n| n.to_string()).collect(),
            Box::new(then),
        )
    };
    let there = "k.there.example.";
    let script = Script::new()
        .on(key("alone").as_str(), Reply::Cname(there.into()))
        .on(key("told").as_str(), chain(&["a.", "b."], Reply::txt("x")))
        .on(key("half").as_str(), chain(&["a.", there], Reply::NoData))
        .on(key("gone").as_str(), Reply::Cname("gone.example.".into()))
        .on(key("gone-told").as_str(), chain(&["a."], Reply::NoName))
        .on(key("empty").as_str(), Reply::Cname("empty.example.".into()))
        .on("empty.example.", Reply::NoData)
        .on(there, Reply::txt("x"));
    let server = NameServer::start(script);
    let resolver = resolver(&server, LONG);
    assert_eq!(ask(&resolver, &key("alone")), want);
    assert_eq!(ask(&resolver, &key("told")), want);
    assert_eq!(ask(&resolver, &key("half")), want);
    assert_eq!(ask(&resolver, &key("gone")), Answer::NoName);
    assert_eq!(ask(&resolver, &key("gone-told")), Answer::NoName);
    assert_eq!(ask(&resolver, &key("empty")), Answer::NoData);
    assert_eq!(server.asked("a.", Transport::Udp), 0);
}

#[test]
fn cnames_that_do_not_end_are_a_failure_of_the_server() {
    let own = || key("s").as_str().to_owned();
    assert_eq!(failure(Reply::Cname(own())), Cause::ServerFailure);
    let ring = Reply::Chain(
        vec!["a.".into(), own()],
        Box::new(Reply::Code(ResponseCode::NoError)),
    );
    assert_eq!(failure(ring), Cause::ServerFailure);

    let script = Script::new()
        .on(key("s").as_str(), Reply::Cname("x.endless.example.".into()))
        .on("*.endless.example.", Reply::Endless);
    let server = NameServer::start(script);
    let answer = ask(&resolver(&server, LONG), &key("s"));
    assert_eq!(answer, Answer::Temporary(Cause::ServerFailure));
    assert_eq!(server.asked_in_all(), 9, "eight CNAMEs are followed");
}

#[test]
fn eight_cnames_are_followed_however_they_come() {
    let names: Vec<String> = (1..=8).map(|n| format!("n{n}.example.")).collect();
    let mut script = Script::new()
        .on(key("s").as_str(), Reply::Cname(names[0].clone()))
        .on(&names[7], Reply::txt("x"));
    for pair in names.windows(2) {
        script = script.on(&pair[0], Reply::Cname(pair[1].clone()));
    }
    let server = NameServer::start(script);
    let one_by_one = ask(&resolver(&server, LONG), &key("s"));
    assert_eq!(txt(one_by_one), [b"x"]);

    let at_once = Reply::Chain(names.clone(), Box::new(Reply::txt("x")));
    assert_eq!(txt(answer(at_once)), [b"x"]);
    let nine = [names, vec!["n9.example.".into()]].concat();
    let one_more = Reply::Chain(nine, Box::new(Reply::txt("x")));
    assert_eq!(failure(one_more), Cause::ServerFailure);
}

#[test]
fn silence_is_a_timeout() {
    let (answer, server) = answer_within(SHORT, Reply::Silence);
    assert_eq!(answer, Answer::Temporary(Cause::Timeout));
    let asked = server.asked(key("s").as_str(), Transport::Udp);
    assert_eq!(asked, 2, "the server may have lost the question");
}

#[test]
fn a_port_where_nobody_listens_is_known_at_once() {
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let resolver = Resolver::with_nameserver(free, LONG).unwrap();
    let began = Instant::now();
    let answer = ask(&resolver, &key("s"));
    assert_eq!(answer, Answer::Temporary(Cause::Network));
    assert!(began.elapsed() < LONG / 2);
}

#[test]
fn what_is_no_dns_message_is_a_failure_of_the_network() {
    assert_eq!(failure(Reply::Garbage), Cause::Network);
}

#[test]
fn an_answer_with_the_wrong_number_or_to_another_question_is_not_believed() {
    let wrong: [fn(Box<Reply>) -> Reply; 2] = [Reply::WrongId, Reply::WrongQuestion];
    for wrong in wrong {
        let reply = wrong(Box::new(Reply::txt("forged")));
        let (answer, _server) = answer_within(SHORT, reply);
        assert_eq!(answer, Answer::Temporary(Cause::Timeout));
    }
    let wrong_id = Reply::WrongId(Box::new(Reply::txt("forged"))).over_tcp();
    let (answer, _server) = answer_within(SHORT, wrong_id);
    assert_eq!(answer, Answer::Temporary(Cause::Timeout));
    for reply in [Reply::txt("forged"), Reply::NoName] {
        let wrong_question = Reply::WrongQuestion(Box::new(reply)).over_tcp();
        assert_eq!(failure(wrong_question), Cause::Network);
    }
}

#[test]
fn a_forged_answer_does_not_keep_the_right_one_away() {
    let forged = [Reply::txt("forged"), Reply::NoName];
    for evil in forged {
        let good = Reply::txt("right");
        let reply = Reply::Forged(Box::new(evil), Box::new(good));
        assert_eq!(answer(reply), records(&[b"right"]));
    }
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let (answer, server) = answer_within(LONG, Reply::txt("x").over_tcp());
    assert_eq!(answer, records(&[b"x"]));
    assert_eq!(server.asked(key("s").as_str(), Transport::Udp), 1);
    assert_eq!(server.asked(key("s").as_str(), Transport::Tcp), 1);
    let (answer, _server) = answer_within(LONG, Reply::NoName.over_tcp());
    assert_eq!(answer, Answer::NoName);
}

#[test]
fn a_record_may_be_as_long_as_dns_can_carry() {
    let long: Vec<u8> = (0..255 * 254).map(|at| (at % 251) as u8).collect();
    assert_eq!(answer(Reply::txt(&long)), records(&[&long]));
}

#[test]
fn of_many_records_the_first_128_are_kept() {
    let many = (0..500u32).map(|n| vec![n.to_string().into_bytes()]);
    let kept = txt(answer(Reply::records(many.collect())));
    assert_eq!(kept.len(), 128);
    assert_eq!(kept[127], b"127");
}

#[test]
fn tcp_that_fails_after_truncation_is_a_failure_of_the_network() {
    let script = Script::new().on(key("s").as_str(), Reply::txt("x").over_tcp());
    let server = NameServer::start(script.without_tcp());
    let began = Instant::now();
    let answer = ask(&resolver(&server, LONG), &key("s"));
    assert_eq!(answer, Answer::Temporary(Cause::Network));
    assert!(began.elapsed() < LONG / 2);
    assert_eq!(failure(Reply::Close.over_tcp()), Cause::Network);
}

#[test]
fn tcp_that_stalls_is_a_timeout() {
    for reply in [Reply::Stall, Reply::Silence] {
        let (answer, _server) = answer_within(SHORT, reply.over_tcp());
        assert_eq!(answer, Answer::Temporary(Cause::Timeout));
    }
}

#[test]
fn names_are_asked_for_at_the_same_time_and_each_once() {
    let names: Vec<KeyName> = (0..10).map(|n| key(&format!("s{n}"))).collect();
    let wait = Duration::from_millis(300);
    let mut script = Script::new();
    for name in &names {
        script = script.on(name.as_str(), Reply::txt(name.as_str()).late(wait));
    }
    let server = NameServer::start(script);
    let twice = [&names[..], &names[..]].concat();
    let began = Instant::now();
    let answers = resolver(&server, LONG).lookup_all_blocking(&twice);
    let took = began.elapsed();
    assert!(took < 4 * wait, "{took:?}");
    let in_order: Vec<&KeyName> = answers.iter().map(|(name, _)| name).collect();
    assert_eq!(in_order, names.iter().collect::<Vec<_>>());
    for (name, answer) in answers {
        assert_eq!(answer, records(&[name.as_str().as_bytes()]));
        let asked = server.asked(name.as_str(), Transport::Udp);
        assert_eq!(asked, 1);
    }
}

#[test]
fn more_names_than_sockets_are_all_answered() {
    let names: Vec<KeyName> = (0..200).map(|n| key(&format!("s{n}"))).collect();
    let mut script = Script::new();
    for (at, name) in names.iter().enumerate() {
        let reply = Reply::txt(name.as_str());
        let over_tcp = at % 2 == 0;
        script = script.on(
            name.as_str(),
            if over_tcp { reply.over_tcp() } else { reply },
        );
    }
    let server = NameServer::start(script);
    for (name, answer) in resolver(&server, LONG).lookup_all_blocking(&names) {
        assert_eq!(answer, records(&[name.as_str().as_bytes()]));
    }
}

#[test]
fn the_time_is_for_all_names_together() {
    let names: Vec<KeyName> = (0..20).map(|n| key(&format!("s{n}"))).collect();
    let mut script = Script::new();
    for name in &names[1..] {
        script = script.on(name.as_str(), Reply::Silence);
    }
    let server = NameServer::start(script);
    let began = Instant::now();
    let answers = resolver(&server, Duration::from_secs(1)).lookup_all_blocking(&names);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(answers[0].1, Answer::NoName);
    for (_, answer) in &answers[1..] {
        assert_eq!(*answer, Answer::Temporary(Cause::Timeout));
    }
}

#[test]
fn an_answer_is_remembered_for_its_time() {
    let fleeting = Reply::Txt {
        records: vec![vec![b"x".to_vec()]],
        ttl: 0,
    };
    let script = Script::new()
        .on(key("kept").as_str(), Reply::txt("x"))
        .on(key("fleeting").as_str(), fleeting)
        .on(key("no-data").as_str(), Reply::NoData)
        .on(key("no-soa").as_str(), Reply::Code(ResponseCode::NXDomain))
        .on(key("failed").as_str(), Reply::Code(ResponseCode::ServFail));
    let server = NameServer::start(script);
    let resolver = resolver(&server, LONG);
    let names = ["kept", "fleeting", "no-name", "no-data", "no-soa", "failed"].map(key);
    let first = resolver.lookup_all_blocking(&names);
    let again = resolver.clone().lookup_all_blocking(&names);
    for ((name, first), (_, again)) in first.into_iter().zip(again) {
        match (first, again) {
            (
                Answer::Records { txt, ttl, .. },
                Answer::Records {
                    txt: same,
                    ttl: left,
                    ..
                },
            ) => {
                assert_eq!(txt, same);
                assert!(left <= ttl && ttl - left < LONG);
            }
            (first, again) => assert_eq!(first, again, "{name}"),
        }
    }
    let asked = names.map(|name| server.asked(name.as_str(), Transport::Udp));
    assert_eq!(asked, [1, 2, 1, 1, 2, 1]);
}

#[test]
fn a_resolver_serves_several_threads_and_runtimes() {
    let script = Script::new().on(key("s").as_str(), Reply::txt("x").over_tcp());
    let server = NameServer::start(script);
    let resolver = resolver(&server, LONG);
    thread::scope(|scope| {
        for n in 0..8 {
            let resolver = &resolver;
            scope.spawn(move || {
                assert_eq!(txt(ask(resolver, &key("s"))), [b"x"]);
                assert_eq!(ask(resolver, &key(&format!("none{n}"))), Answer::NoName);
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answers = runtime.block_on(resolver.lookup_all(&[key("s")]));
    assert_eq!(txt(answers[0].1.clone()), [b"x"]);
    assert_eq!(resolver.lookup_all_blocking(&[]), []);
}

#[test]
fn a_resolver_wants_a_server_and_time() {
    let server = "127.0.0.1:0".parse().unwrap();
    let error = Resolver::with_nameserver(server, LONG).unwrap_err();
    assert_eq!(error, ResolverError::NoPort { server });
    let server = "127.0.0.1:53".parse().unwrap();
    let error = Resolver::with_nameserver(server, Duration::ZERO).unwrap_err();
    assert_eq!(error, ResolverError::NoTime);
    assert!(Resolver::with_nameserver(server, Duration::MAX).is_ok());
}

#[test]
fn a_zone_is_served_as_it_reads() {
    let server = NameServer::start(Script::zone(
        "$ORIGIN example.com.\n\
         mail._domainkey 300 TXT \"v=DKIM1; \" \"p=Zm9v\"\n\
         alias._domainkey CNAME mail._domainkey\n\
         web._domainkey A 192.0.2.1\n",
    ));
    let resolver = resolver(&server, LONG);
    let want = records(&[b"v=DKIM1; p=Zm9v"]);
    assert_eq!(ask(&resolver, &key("mail")), want);
    let Answer::Records { txt, ttl, .. } = ask(&resolver, &key("alias")) else {
        panic!("an alias of a name with records")
    };
    assert_eq!(txt, [b"v=DKIM1; p=Zm9v"]);
    // That of the CNAME, which is the lower one.
    assert_eq!(ttl, Duration::from_secs(CNAME_TTL.into()));
    assert_eq!(ask(&resolver, &key("web")), Answer::NoData);
    assert_eq!(ask(&resolver, &key("none")), Answer::NoName);
}

#[test]
fn the_states_of_a_zone_in_json_are_served_too() {
    let states = ["NXDOMAIN", "NODATA", "SERVFAIL", "REFUSED", "TIMEOUT"];
    let entry =
        |state: &&str| format!(r#""{state}._domainkey.example.com.": {{"status": "{state}"}}"#);
    let json = states.iter().map(entry).collect::<Vec<_>>().join(",");
    let server = NameServer::start(Script::zone(&format!("{{{json}}}")));
    let answers = resolver(&server, SHORT).lookup_all_blocking(&states.map(key));
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    let temporary = [Cause::ServerFailure, Cause::Refused, Cause::Timeout].map(Answer::Temporary);
    assert_eq!(
        answers,
        [&[Answer::NoName, Answer::NoData], &temporary[..]].concat()
    );
}

#[test]
fn a_message_is_verified_with_the_keys_of_a_server_each_asked_for_once() {
    let now = UnixTime(1_700_000_000);
    let domain = Domain::new("example.com").unwrap();
    let signing_key = Arc::new(SigningKey::generate(KeyKind::Ed25519).unwrap());
    let public = signing_key.public_bytes();
    let record = KeyRecord::new(signing_key.algorithm().key_type(), public).to_string();
    let message = b"From: Anna <anna@example.com>\r\nSubject: Hi\r\n\r\nHello.\r\n";
    let mut signed = message.to_vec();
    // Two signatures with the same key, and one with a key that is not published.
    for selector in ["mail", "mail", "gone"] {
        let selector = Selector::new(selector).unwrap();
        let identity = SigningIdentity::new(domain.clone(), selector, signing_key.clone());
        let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(now)).unwrap();
        signed = [format!("{}\r\n", fields[0]).as_bytes(), &signed].concat();
    }

    let server = NameServer::start(Script::new().on(key("mail").as_str(), Reply::txt(record)));
    let (header, body) = split(&signed, HeaderLimits::default()).unwrap();
    let verifier = Verifier::new(header, Arc::new(Policy::default()), now);
    let wanted = verifier.wanted().to_vec();
    let mut verifier = verifier.start_body();
    for (name, answer) in resolver(&server, LONG).lookup_all_blocking(&wanted) {
        verifier.supply(&name, answer);
    }
    let _ = verifier.write(body);
    let verdicts = verifier.finish();
    assert_eq!(overall(&verdicts), ResultWord::Pass);
    let passed: Vec<bool> = verdicts.iter().map(|v| v.failure().is_none()).collect();
    assert_eq!(passed, [false, true, true]);
    assert_eq!(server.asked(key("mail").as_str(), Transport::Udp), 1);
    assert_eq!(server.asked(key("gone").as_str(), Transport::Udp), 1);
}

/// What `dkimkit verify --nameserver` says of a signed message where the name of its key gets this reply;
/// in place of a record, a CNAME to the true one.
#[cfg(feature = "cli")]
fn program(reply: Reply) -> (Option<i32>, String) {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string();
    let reply = match reply {
        Reply::Txt { .. } => Reply::Cname("elsewhere.example.net.".into()),
        reply => reply,
    };
    let script = Script::new()
        .on(self::key("s").as_str(), reply)
        .on("elsewhere.example.net.", Reply::txt(record));
    let server = NameServer::start(script);
    let domain = Domain::new("example.com").unwrap();
    let identity = SigningIdentity::new(domain, Selector::new("s").unwrap(), key);
    let message = b"From: a@example.com\r\n\r\nHi\r\n";
    let options = SignOptions::new(UnixTime(1_700_000_000));
    let fields = dkimkit::sign(message, vec![identity], &options).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let signed = [fields[0].as_bytes(), b"\r\n", message].concat();
    std::fs::write(file.path(), signed).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_dkimkit"))
        .args(["verify", "--json", "--timeout", "1s", "--nameserver"])
        .arg(server.addr().to_string())
        .arg(file.path())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let word = |name: &str| report[name].as_str().unwrap_or("-").to_owned();
    (
        output.status.code(),
        format!("{} {}", word("result"), word("reason")),
    )
}

#[cfg(feature = "cli")]
#[test]
fn the_program_asks_the_server_that_it_is_given() {
    for (reply, exit, words) in [
        (Reply::txt("the key"), 0, "pass -"),
        (Reply::NoName, 1, "permerror key-not-found"),
        (Reply::NoData, 1, "permerror key-not-found"),
        (
            Reply::Code(ResponseCode::ServFail),
            75,
            "temperror dns-server-failure",
        ),
        (
            Reply::Code(ResponseCode::Refused),
            75,
            "temperror dns-refused",
        ),
        (Reply::Silence, 75, "temperror dns-timeout"),
    ] {
        assert_eq!(program(reply), (Some(exit), words.to_owned()));
    }
}
