//! A file over HTTPS, as RFC 8461 §3.3 has it fetched: no redirect is followed, and nothing counts that does not come
//! from a host with a certificate that can be trusted.

use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::client::TlsStream;

use super::line::{Log, connect};
use super::tls::shake_hands;
use super::{Download, NoConnection, Talk, Trust};
use crate::dns::lookup::DnsName;

const HTTPS: u16 = 443;
/// So much of a file is read. RFC 8461 §3.3 suggests 64 KiB.
const MAX_FILE: usize = 64 << 10;
/// So much the status line and the fields may take together.
const MAX_HEAD: usize = 64 << 10;
/// So many addresses are tried: whoever publishes more would have strangers called.
const MAX_ADDRESSES: usize = 4;

/// Fetches a file from the first of these addresses that can be connected to.
pub(in crate::audit) async fn download(
    host: &DnsName,
    path: &str,
    addresses: &[IpAddr],
    talk: &Talk,
) -> Download {
    let addresses = addresses.iter().map(|ip| SocketAddr::new(*ip, HTTPS));
    fetch(host, path, addresses, talk).await
}

/// [`download`], from any port.
pub(super) async fn fetch(
    host: &DnsName,
    path: &str,
    addresses: impl Iterator<Item = SocketAddr>,
    talk: &Talk,
) -> Download {
    let mut log = Log::default();
    let mut download = Download::none(NoConnection::Unreachable);
    for address in addresses.take(MAX_ADDRESSES) {
        log.add(format!("* connecting to {address}"));
        match connect(address, talk).await {
            Err(trouble) => {
                log.add(format!("* {trouble}"));
                download.trouble = Some(trouble);
            }
            Ok(stream) => {
                let ended = get(stream, host, path, talk, &mut download, &mut log).await;
                download.trouble = ended.err();
                if let Some(trouble) = &download.trouble {
                    log.add(format!("* {trouble}"));
                }
                break;
            }
        }
    }
    download.log = log.into_lines();
    download
}

async fn get(
    stream: TcpStream,
    host: &DnsName,
    path: &str,
    talk: &Talk,
    download: &mut Download,
    log: &mut Log,
) -> Result<(), NoConnection> {
    let shaken = shake_hands(stream, host, &[b"http/1.1"], talk).await;
    let (stream, handshake) = shaken?;
    log.add(format!("* {}", handshake.protocol));
    // RFC 8461 §3.3: without a certificate that holds there is no policy.
    let trusted = handshake.trust == Trust::Trusted;
    download.tls = Some(handshake);
    if !trusted {
        log.add("* the certificate does not hold");
        return Ok(());
    }
    let exchange = exchange(stream, host, path, download, log);
    match timeout_at(talk.answered(), exchange).await {
        Err(_) => Err(NoConnection::NoTime),
        Ok(done) => done.map_err(|error| NoConnection::Failed(error.to_string())),
    }
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    host: &DnsName,
    path: &str,
    download: &mut Download,
    log: &mut Log,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
    // It ends when the sender and the body are gone.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, host.to_string())
        .header(USER_AGENT, concat!("dkimkit/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "text/plain")
        .body(Empty::<Bytes>::new())?;
    log.add(format!("> GET {path}"));
    let response = sender.send_request(request).await?;
    log.add(format!("< {}", response.status()));
    download.status = Some(response.status().as_u16());
    download.content_type = field(&response, CONTENT_TYPE, log);
    download.location = field(&response, LOCATION, log);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = MAX_FILE - download.body.len();
        download
            .body
            .extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            download.cut = true;
            break;
        }
    }
    log.add(format!("* {} octets", download.body.len()));
    Ok(())
}

fn field<T>(response: &Response<T>, name: HeaderName, log: &mut Log) -> Option<String> {
    let value = response.headers().get(&name)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    log.add(format!("< {name}: {text}"));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Certified, Step, self_signed, serve, talk};
    use super::*;
    use Step::{Flood, Hear, Say, Wait};

    const PATH: &str = "/.well-known/mta-sts.txt";

    /// What comes from a server that shows this certificate and answers so.
    async fn fetched(ca: &Authority, certified: &Certified, mut answer: Vec<Step>) -> Download {
        let mut script = vec![
            Step::Tls(certified.server()),
            Hear("GET /.well-known/mta-sts.txt HTTP/1.1"),
        ];
        script.append(&mut answer);
        let (address, heard) = serve(vec![script]);
        let host = DnsName::new(b"mta-sts.example.org").unwrap();
        let download = fetch(&host, PATH, [address].into_iter(), &talk(ca.trusted())).await;
        // The connection ends on this runtime.
        let heard = tokio::task::spawn_blocking(|| heard.join());
        heard.await.unwrap().unwrap();
        download
    }

    #[tokio::test]
    async fn a_file_comes_whole_or_up_to_the_cap() {
        let ca = Authority::new("one");
        let right = ca.issue("mta-sts.example.org", (2020, 2040));
        let plain = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nabcd";
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
        let to_the_end = "HTTP/1.0 200 OK\r\n\r\nabcd";
        for answer in [plain, chunked, to_the_end] {
            let download = fetched(&ca, &right, vec![Say(answer)]).await;
            assert_eq!(download.body, b"abcd", "{:?}", download.log);
            assert!(!download.cut && download.status == Some(200));
        }
        let endless = vec![Say("HTTP/1.0 200 OK\r\n\r\n"), Flood("more and more\n")];
        let download = fetched(&ca, &right, endless).await;
        assert!(download.cut);
        assert_eq!(download.body.len(), MAX_FILE);
    }

    #[tokio::test]
    async fn a_redirect_is_told_and_not_followed() {
        let ca = Authority::new("one");
        let right = ca.issue("mta-sts.example.org", (2020, 2040));
        let answer =
            "HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n";
        let download = fetched(&ca, &right, vec![Say(answer)]).await;
        assert_eq!(download.status, Some(301));
        assert_eq!(download.location.as_deref(), Some("https://example.org/"));
    }

    #[tokio::test]
    async fn what_is_slow_or_no_http_has_trouble() {
        let ca = Authority::new("one");
        let right = ca.issue("mta-sts.example.org", (2020, 2040));
        let slow = fetched(&ca, &right, vec![Wait(1500)]).await;
        assert_eq!(slow.trouble, Some(NoConnection::NoTime));
        let fields = vec![Say("HTTP/1.1 200 OK\r\n"), Flood("X: y\r\n")];
        for answer in [vec![Say("220 mail\r\n\r\n")], vec![], fields] {
            let download = fetched(&ca, &right, answer).await;
            assert!(
                matches!(download.trouble, Some(NoConnection::Failed(_))),
                "{download:?}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_counts_over_a_certificate_that_does_not_hold() {
        let ca = Authority::new("one");
        for certified in [
            self_signed("mta-sts.example.org"),
            ca.issue("www.example.org", (2020, 2040)),
            ca.issue("mta-sts.example.org", (2020, 2021)),
        ] {
            let download = fetched(&ca, &certified, vec![]).await;
            assert_ne!(download.tls.unwrap().trust, Trust::Trusted);
            assert_eq!((download.status, download.trouble), (None, None));
        }
    }

    #[tokio::test]
    async fn the_next_address_counts_where_nobody_listens() {
        let (closed, done) = serve(vec![]);
        done.join().unwrap();
        let ca = Authority::new("one");
        let (open, heard) = serve(vec![vec![Say("no TLS\r\n")]]);
        let host = DnsName::new(b"mta-sts.example.org").unwrap();
        let talk = talk(ca.trusted());
        let download = fetch(&host, PATH, [closed, open].into_iter(), &talk).await;
        assert!(matches!(download.trouble, Some(NoConnection::Failed(_))));
        heard.join().unwrap();
    }
}
