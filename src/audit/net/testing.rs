//! Servers that say what a script has them say, and certificates for them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::time::Instant;

use super::{Authorities, Talk};
use crate::time::UnixTime;

/// What a server does next.
pub(in crate::audit) enum Step {
    /// Sends this.
    Say(&'static str),
    /// Waits for a line that begins so.
    Hear(&'static str),
    /// Makes a TLS handshake.
    Tls(Arc<ServerConfig>),
    /// Sends this again and again, until nobody listens.
    Flood(&'static str),
    /// Says nothing for so many milliseconds.
    Wait(u64),
}

/// A server for as many connections as there are scripts. The thread gives the lines that it has heard.
pub(in crate::audit) fn serve(scripts: Vec<Vec<Step>>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let work = move || {
        let mut heard = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            // Who is hung up on is not the matter of a test of the client.
            let _ = play(stream, &script, &mut heard);
        }
        heard
    };
    (address, thread::spawn(work))
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

fn play(stream: TcpStream, script: &[Step], heard: &mut Vec<String>) -> io::Result<()> {
    let plain = stream.try_clone()?;
    let mut stream: Box<dyn Both> = Box::new(stream);
    for step in script {
        match step {
            Step::Say(text) => stream.write_all(text.as_bytes())?,
            Step::Hear(start) => {
                let mut line = Vec::new();
                let mut byte = [0];
                while !line.ends_with(b"\r\n") {
                    stream.read_exact(&mut byte)?;
                    line.push(byte[0]);
                }
                let line = String::from_utf8(line).unwrap().trim_end().to_owned();
                let right = line.starts_with(start);
                heard.push(line);
                if !right {
                    break;
                }
            }
            Step::Tls(config) => {
                let tls = ServerConnection::new(config.clone()).unwrap();
                stream = Box::new(StreamOwned::new(tls, plain.try_clone()?));
            }
            Step::Flood(text) => loop {
                stream.write_all(text.as_bytes())?;
            },
            Step::Wait(millis) => thread::sleep(Duration::from_millis(*millis)),
        }
        stream.flush()?;
    }
    plain.shutdown(Shutdown::Write)?;
    Ok(())
}

/// An authority.
pub(in crate::audit) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(in crate::audit) der: Vec<u8>,
}

impl Authority {
    pub(in crate::audit) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority {
            issuer: Issuer::new(params, key),
            der,
        }
    }

    /// Those who trust this one alone.
    pub(in crate::audit) fn trusted(&self) -> Authorities {
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", self.der.clone()));
        Authorities::from_pem(pem.as_bytes()).unwrap()
    }

    /// A certificate for this name in these years, with this authority behind it.
    pub(in crate::audit) fn issue(&self, name: &str, years: (i32, i32)) -> Certified {
        let (params, key) = leaf(name, years);
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Certified {
            chain: vec![leaf, self.der.clone()],
            key,
        }
    }
}

/// A certificate that nobody has issued.
pub(in crate::audit) fn self_signed(name: &str) -> Certified {
    let (params, key) = leaf(name, (2020, 2040));
    let leaf = params.self_signed(&key).unwrap().der().to_vec();
    Certified {
        chain: vec![leaf],
        key,
    }
}

fn leaf(name: &str, (from, to): (i32, i32)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    (params, KeyPair::generate().unwrap())
}

/// A certificate, those above it, and its key.
pub(in crate::audit) struct Certified {
    pub(in crate::audit) chain: Vec<Vec<u8>>,
    key: KeyPair,
}

impl Certified {
    /// A server that shows it.
    pub(in crate::audit) fn server(&self) -> Arc<ServerConfig> {
        let chain = self.chain.iter().cloned().map(CertificateDer::from);
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), PrivateKeyDer::Pkcs8(key))
            .unwrap();
        Arc::new(config)
    }
}

/// How tests talk: on 2026-11-22, with patience for 300 ms.
pub(in crate::audit) fn talk(authorities: Authorities) -> Talk {
    Talk {
        helo: Some("probe.example".to_owned()),
        now: UnixTime(1_795_305_600),
        authorities,
        patience: Duration::from_millis(300),
        deadline: Instant::now() + Duration::from_secs(20),
    }
}
