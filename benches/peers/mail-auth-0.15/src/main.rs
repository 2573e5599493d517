//! mail-auth 0.15 as a peer; see ../README.md.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::Future as _;
use std::hash::Hash;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use std::{env, fs, io};

use mail_auth::crypto::{RsaKey, Sha256};
use mail_auth::dkim::{Canonicalization, DkimSigner, DomainKey};
use mail_auth::dns::{
    DnsCache, NoCache, Parameters, ResolverCache, TxtRecord, TxtRecordParser as _,
};
use mail_auth::headers::HeaderWriter as _;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, verb, messages, keys] = arguments.as_slice() else {
        panic!("mail-auth-peer verify|sign MESSAGES KEYS");
    };
    let mut paths: Vec<_> = fs::read_dir(messages).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let messages: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let round: Box<dyn Fn()> = match verb.as_str() {
        "verify" => verifier(messages.clone(), keys),
        _ => signer(messages.clone(), keys),
    };
    round();
    for _ in io::stdin().lines() {
        let begin = Instant::now();
        round();
        println!("{}", begin.elapsed().as_secs_f64() * 1e6 / messages.len() as f64);
    }
}

fn signer(messages: Vec<Vec<u8>>, keys: &str) -> Box<dyn Fn()> {
    let pem = fs::read(format!("{keys}/rsa2048.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let signer = DkimSigner::from_key(RsaKey::<Sha256>::from_key_der(key).unwrap())
        .domain("test.example")
        .selector("rsa2048")
        .headers([
            "From", "From", "To", "To", "Cc", "Cc", "Subject", "Subject", "Date", "Date",
            "Message-ID", "Message-ID", "In-Reply-To", "References", "MIME-Version", "MIME-Version",
            "Content-Type", "Content-Type", "Content-Transfer-Encoding", "Content-Transfer-Encoding",
        ])
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed);
    Box::new(move || {
        for message in &messages {
            black_box(signer.sign(message).unwrap().to_header());
        }
    })
}

fn verifier(messages: Vec<Vec<u8>>, keys: &str) -> Box<dyn Fn()> {
    let zone = fs::read_to_string(format!("{keys}/rsa2048.txt")).unwrap();
    let record: String = zone.split('"').skip(1).step_by(2).collect();
    let record = DomainKey::parse(record.as_bytes()).unwrap();
    let name: Box<str> = "rsa2048._domainkey.test.example.".into();
    let known = Known(HashMap::from([(name, TxtRecord::DomainKey(Arc::new(record)))]));
    let resolver = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default());
    let resolver = resolver.unwrap();
    Box::new(move || {
        for message in &messages {
            let parsed = AuthenticatedMessage::parse(message).unwrap();
            let parameters = Parameters::new(&parsed).with_cache(&known);
            let mut job = pin!(resolver.verify_dkim(parameters));
            match job.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outputs) => assert_eq!(*outputs[0].result(), DkimResult::Pass),
                Poll::Pending => panic!("mail-auth waits for something"),
            }
        }
    })
}

struct Known(HashMap<Box<str>, TxtRecord>);

impl DnsCache for Known {
    type Txt = Known;
    type Mx = NoCache;
    type Ipv4 = NoCache;
    type Ipv6 = NoCache;
    type Ptr = NoCache;

    fn txt(&self) -> Option<&Known> {
        Some(self)
    }

    fn mx(&self) -> Option<&NoCache> {
        None
    }

    fn ipv4(&self) -> Option<&NoCache> {
        None
    }

    fn ipv6(&self) -> Option<&NoCache> {
        None
    }

    fn ptr(&self) -> Option<&NoCache> {
        None
    }
}

impl ResolverCache<Box<str>, TxtRecord> for Known {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: TxtRecord, _: Instant) {}
}
