//! TLS handshakes that go on whatever the certificate is worth, and say what it is worth.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{self, CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::{Handshake, Leaf, NoConnection, Talk, Trust};
use crate::dns::lookup::DnsName;
use crate::time::UnixTime;

/// Those who are trusted to issue certificates.
#[derive(Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
}

/// A file holds nobody who could be trusted with certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAuthority {
    /// It is no PEM, or one of its blocks is broken.
    #[error("the file is no PEM of certificates")]
    NotPem,
    /// It has no block CERTIFICATE.
    #[error("the file holds no certificate")]
    Nothing,
    /// A block is no certificate.
    #[error("certificate {0} of the file cannot be read")]
    Unreadable(usize),
}

impl Authorities {
    /// Those that this system trusts; nobody where it has no list, and then certificates cannot be judged.
    pub fn system() -> Authorities {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Authorities {
            roots: Arc::new(roots),
        }
    }

    /// The certificates of a PEM file, and nobody else.
    ///
    /// # Errors
    /// [`NoAuthority`]: the file cannot be used.
    ///
    /// ```
    /// use dkimkit::audit::net::{Authorities, NoAuthority};
    /// assert_eq!(Authorities::from_pem(b"no PEM").unwrap_err(), NoAuthority::Nothing);
    /// ```
    pub fn from_pem(pem: &[u8]) -> Result<Authorities, NoAuthority> {
        let mut roots = RootCertStore::empty();
        for (at, found) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let certificate = found.map_err(|_| NoAuthority::NotPem)?;
            let added = roots.add(certificate);
            added.map_err(|_| NoAuthority::Unreadable(at + 1))?;
        }
        if roots.is_empty() {
            return Err(NoAuthority::Nothing);
        }
        Ok(Authorities {
            roots: Arc::new(roots),
        })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.roots.len())
    }
}

/// The name under which a server is asked, where it can stand in a certificate.
fn server_name(host: &DnsName) -> Option<ServerName<'static>> {
    let text = host.to_string();
    // A server that has no name but its address.
    let address = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    ServerName::try_from(address.unwrap_or(&text).to_owned()).ok()
}

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTls {
    /// The server breaks off as nothing that we offer will do, which need not be its fault.
    #[error("the TLS handshake failed: {0}")]
    NothingInCommon(String),
    /// The server is silent.
    #[error("the TLS handshake did not end in time")]
    NoTime,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<NoTls> for NoConnection {
    fn from(why: NoTls) -> NoConnection {
        match why {
            NoTls::NoTime => NoConnection::NoTime,
            why => NoConnection::Failed(why.to_string()),
        }
    }
}

impl NoTls {
    fn of(error: &std::io::Error) -> NoTls {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            // RFC 8446 §6.2.
            Some(Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity,
            )) => NoTls::NothingInCommon(error.to_string()),
            _ => NoTls::Failed(format!("the TLS handshake failed: {error}")),
        }
    }
}

/// Makes a handshake. What is wrong with the certificate stands in the [`Handshake`] and breaks nothing off.
///
/// # Errors
/// [`NoTls`].
pub(super) async fn shake_hands(
    stream: TcpStream,
    host: &DnsName,
    protocols: &[&[u8]],
    talk: &Talk,
) -> Result<(TlsStream<TcpStream>, Handshake), NoTls> {
    let failed = |why: &str| NoTls::Failed(why.to_owned());
    let name = server_name(host)
        .ok_or_else(|| failed("the name of the server cannot stand in a certificate"))?;
    let recorder = Arc::new(Recorder {
        roots: talk.authorities.roots.clone(),
        provider: Arc::new(aws_lc_rs::default_provider()),
        now: talk.now,
        seen: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(recorder.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error.to_string()))?;
    let mut config = config
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = timeout_at(talk.answered(), connector.connect(name, stream))
        .await
        .map_err(|_| NoTls::NoTime)?
        .map_err(|error| NoTls::of(&error))?;
    let version = stream.get_ref().1.protocol_version();
    let seen = recorder.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.clone().unwrap_or_default();
    let handshake = Handshake {
        protocol: version.map_or_else(String::new, |version| {
            // TLSv1_3 is how rustls writes it.
            format!("{version:?}").replace('_', ".")
        }),
        leaf: seen.chain.first().and_then(|der| read(der)),
        chain: seen.chain,
        trust: seen.trust,
        name_matches: seen.name_matches,
    };
    Ok((stream, handshake))
}

/// What was seen of a server's certificates.
#[derive(Debug, Clone)]
struct Seen {
    chain: Vec<Vec<u8>>,
    trust: Trust,
    name_matches: bool,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            chain: Vec::new(),
            trust: Trust::Other("the server has shown no certificate".to_owned()),
            name_matches: false,
        }
    }
}

/// Notes certificates, and lets each handshake go on.
#[derive(Debug)]
struct Recorder {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    now: UnixTime,
    seen: Mutex<Option<Seen>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: pki_types::UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (trust, name_matches) = judge(leaf, others, name, &self.roots, self.now);
        let chain = std::iter::once(leaf).chain(others);
        let seen = Seen {
            chain: chain.map(|der| der.to_vec()).collect(),
            trust,
            name_matches,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tolerate(verify_tls12_signature(message, leaf, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tolerate(verify_tls13_signature(message, leaf, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Certificates of version 1, which private authorities still issue, cannot be read by webpki, while other programs talk
/// TLS with their holders. [`judge`] has noted that they are not trusted.
fn tolerate(
    checked: Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    match checked {
        Err(Error::InvalidCertificate(
            CertificateError::BadEncoding | CertificateError::Other(_),
        )) => Ok(HandshakeSignatureValid::assertion()),
        checked => checked,
    }
}

/// Whether a certificate can be trusted, and whether it is for this name.
fn judge(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    roots: &RootCertStore,
    now: UnixTime,
) -> (Trust, bool) {
    let parsed = match ParsedCertificate::try_from(leaf) {
        Ok(parsed) => parsed,
        Err(error) => return (trust(Err(error)), false),
    };
    let named = verify_server_name(&parsed, name);
    let name_matches = named.is_ok();
    if roots.is_empty() {
        return (Trust::NoRoots, name_matches);
    }
    let led = signed(&parsed, others, roots, now);
    (trust(led.and(named)), name_matches)
}

fn signed(
    leaf: &ParsedCertificate<'_>,
    others: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), Error> {
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let now = pki_types::UnixTime::since_unix_epoch(Duration::from_secs(now.0));
    verify_server_cert_signed_by_trust_anchor(leaf, roots, others, now, algorithms.all)
}

fn trust(judged: Result<(), Error>) -> Trust {
    use CertificateError as Wrong;
    match judged {
        Ok(()) => Trust::Trusted,
        Err(Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. })) => {
            Trust::Expired
        }
        Err(Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. })) => {
            Trust::NotYetValid
        }
        Err(Error::InvalidCertificate(
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. },
        )) => Trust::WrongName,
        Err(Error::InvalidCertificate(Wrong::UnknownIssuer)) => Trust::UnknownIssuer,
        Err(Error::InvalidCertificate(wrong)) => Trust::Other(wrong.to_string()),
        Err(error) => Trust::Other(error.to_string()),
    }
}

/// Whether the first certificate of a chain is for one of these names.
pub(in crate::audit) fn is_for(chain: &[Vec<u8>], names: &[DnsName]) -> bool {
    let Some(leaf) = chain.first() else {
        return false;
    };
    let der = CertificateDer::from(leaf.as_slice());
    let Ok(parsed) = ParsedCertificate::try_from(&der) else {
        return false;
    };
    let mut named = names.iter().filter_map(server_name);
    named.any(|name| verify_server_name(&parsed, &name).is_ok())
}

/// Whether a chain leads from its first certificate, for one of these names and now, to `anchor` (RFC 7672 §3.1.2).
pub(in crate::audit) fn leads_to(
    anchor: &[u8],
    chain: &[Vec<u8>],
    names: &[DnsName],
    now: UnixTime,
) -> bool {
    let [leaf, others @ ..] = chain else {
        return false;
    };
    let der = CertificateDer::from(leaf.as_slice());
    let Ok(parsed) = ParsedCertificate::try_from(&der) else {
        return false;
    };
    if !is_for(chain, names) {
        return false;
    }
    // RFC 7671 §5.2: a certificate that nobody else has issued is its own authority.
    if anchor == leaf.as_slice() {
        return read(leaf).is_some_and(|leaf| (leaf.not_before..=leaf.not_after).contains(&now));
    }
    let mut roots = RootCertStore::empty();
    let others = others
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()));
    let others: Vec<_> = others.collect();
    roots.add(CertificateDer::from(anchor)).is_ok() && signed(&parsed, &others, &roots, now).is_ok()
}

/// So many names of a certificate are kept.
const MAX_NAMES: usize = 100;

fn read(der: &[u8]) -> Option<Leaf> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let time = |time: x509_parser::time::ASN1Time| {
        UnixTime(u64::try_from(time.timestamp()).unwrap_or_default())
    };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives
        .iter()
        .flat_map(|found| &found.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    Some(Leaf {
        names: names.take(MAX_NAMES).collect(),
        not_before: time(certificate.validity.not_before),
        not_after: time(certificate.validity.not_after),
        issuer: certificate.issuer.to_string(),
        key: certificate.public_key().raw.to_vec(),
    })
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
pub(in crate::audit) fn key_of(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}
