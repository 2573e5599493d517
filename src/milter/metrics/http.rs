//! The metrics over HTTP, at `/metrics`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::milter::Listener;
use crate::milter::filter::Filter;

/// So many readers at the same time.
const MAX_READERS: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take to ask, and in how many octets.
const ASKING: Duration = Duration::from_secs(5);
const MAX_REQUEST: usize = 16 << 10;

/// Answers `GET /metrics` for ever.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(listener: Listener, filter: Arc<Filter>) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(MAX_READERS));
    match listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let accepted = listener.accept().await;
                answer(accepted.map(|(stream, _)| stream), &permits, &filter).await;
            }
        }
        Listener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            loop {
                let accepted = listener.accept().await;
                answer(accepted.map(|(stream, _)| stream), &permits, &filter).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    accepted: io::Result<S>,
    permits: &Arc<Semaphore>,
    filter: &Arc<Filter>,
) {
    let Ok(stream) = accepted else {
        sleep(Duration::from_millis(100)).await;
        return;
    };
    let Ok(permit) = permits.clone().try_acquire_owned() else {
        return;
    };
    let filter = filter.clone();
    tokio::spawn(async move {
        let service = service_fn(|request| {
            let response = respond(&request, &filter);
            async { Ok::<_, Infallible>(response) }
        });
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(ASKING)
            .max_buf_size(MAX_REQUEST)
            .keep_alive(false);
        let connection = server.serve_connection(TokioIo::new(stream), service);
        // A reader that goes away, or is too slow, asks again.
        let _ = timeout(PATIENCE, connection).await;
        drop(permit);
    });
}

fn respond(request: &Request<Incoming>, filter: &Filter) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, filter.metrics().text()),
        (&Method::GET, _) => (
            StatusCode::NOT_FOUND,
            "the metrics are at /metrics\n".to_owned(),
        ),
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            "GET is all there is\n".to_owned(),
        ),
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    if status == StatusCode::OK {
        let kind = hyper::header::HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
