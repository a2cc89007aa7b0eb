//! A witness over HTTP/1.1 (C2SP tlog-witness): `POST /add-checkpoint`,
//! `GET /<origin hash>/checkpoint` for monitors, and `GET /`, a page that says who it is.
//!
//! Plain HTTP: what speaks TLS to the world stands before it. Everything is bounded here, so that
//! nothing else is needed against clients that are slow, many, or large: connections, the time of a
//! head, of a body and of a whole connection, and the length of both; see [`Limits`].

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Future, ready};
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Answer, Keeper, Witness};
use crate::model::witness::{REQUEST_LEN_MAX, origin_hash};

const TEXT: &str = "text/plain; charset=utf-8";
/// What a connection may hold of a request's head, or of a part of its body, in bytes.
const BUFFER_LEN_MAX: usize = 16 * 1024;
/// How many requests are judged at a time, each on a thread that mostly waits for the disk.
const JUDGES: usize = 16;
/// How long nothing is accepted when the system has no more sockets to give.
const BREATH: Duration = Duration::from_millis(100);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// For the head of a request, and between requests.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For a connection, from first to last.
    pub connection: Duration,
    /// For what is under way when the witness stops.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(15),
            body: Duration::from_secs(15),
            connection: Duration::from_secs(300),
            stop: Duration::from_secs(10),
        }
    }
}

/// What a server is made of, beside its listener.
pub struct Service<K> {
    /// Who answers.
    pub witness: Witness<K>,
    /// What clients may take.
    pub limits: Limits,
    /// The present, in seconds since 1970.
    pub clock: fn() -> u64,
    /// Is told of each answer to `add-checkpoint`, before the client.
    pub told: Box<dyn Fn(&Answer) + Send + Sync>,
}

/// Serves until `stop` is ready, then until what is under way has ended. Calls `begun` when `stop`
/// is waited for and clients are about to be.
///
/// # Errors
/// When the system gives no threads, or the listener cannot be used.
pub fn serve<K: Keeper + 'static>(
    service: Service<K>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    begun: impl FnOnce(),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(JUDGES)
        .enable_all()
        .build()?;
    runtime.block_on(accept(Arc::new(service), listener, stop, begun))
}

/// Ready when the system asks the process to end.
pub async fn signalled() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Where signals cannot be waited for, they end the process as ever; that is safe, too.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn accept<K: Keeper + 'static>(
    service: Arc<Service<K>>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    begun: impl FnOnce(),
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let limits = service.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    let judges = Arc::new(Semaphore::new(JUDGES));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    // The first poll is what makes the system's signals known; nobody is told before.
    tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        () = ready(()) => begun(),
    }
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(BREATH).await;
            continue;
        };
        let (service, judges) = (Arc::clone(&service), Arc::clone(&judges));
        let respond = service_fn(move |request| {
            let answer = respond(Arc::clone(&service), Arc::clone(&judges), request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(BUFFER_LEN_MAX)
            .serve_connection(TokioIo::new(stream), respond);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off, or is too slow, has itself to blame; what was kept for it
            // stays, and asking again gives the cosignature.
            let _ = timeout(limits.connection, connection).await;
            drop(place);
        });
    }
    drop(listener);
    // What takes longer is cut off; nothing is cosigned that is not kept.
    let _ = timeout(limits.stop, graceful.shutdown()).await;
    Ok(())
}

/// What to say, before it is HTTP.
struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
    more: Option<(HeaderName, HeaderValue)>,
}

impl Reply {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: TEXT, body: body.into(), more: None }
    }

    fn method(allowed: &'static str) -> Self {
        let allow = (header::ALLOW, HeaderValue::from_static(allowed));
        Self { more: Some(allow), ..Self::text(405, "request/method\n") }
    }

    fn of(answer: &Answer) -> Self {
        let retry = answer.retry_after_seconds();
        Self {
            status: answer.status(),
            content_type: answer.content_type(),
            body: answer.body(),
            more: retry.map(|seconds| (header::RETRY_AFTER, seconds.into())),
        }
    }
}

impl From<Reply> for Response<Full<Bytes>> {
    fn from(reply: Reply) -> Self {
        let mut response = Response::new(Full::new(Bytes::from(reply.body)));
        let known = "a status of this module is one of HTTP";
        *response.status_mut() = StatusCode::from_u16(reply.status).expect(known);
        let fixed = HeaderValue::from_static;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, fixed(reply.content_type));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        headers.insert(header::CACHE_CONTROL, fixed("no-cache"));
        // Everything that can be read here is for everybody, pages of others included.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
        headers.extend(reply.more);
        response
    }
}

async fn respond<K: Keeper + 'static>(
    service: Arc<Service<K>>,
    judges: Arc<Semaphore>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let posted = match (path.as_str(), head.method) {
        ("/add-checkpoint", Method::POST) => match read(body, service.limits.body).await {
            Ok(body) => Some(body),
            Err(reply) => return reply.into(),
        },
        ("/add-checkpoint", _) => return Reply::method("POST").into(),
        (_, Method::GET | Method::HEAD) => None,
        _ => return Reply::method("GET, HEAD").into(),
    };
    // Who is judged goes on being judged when the client has gone, so the judge's place belongs to
    // the judging: clients that come and go pile up nothing.
    let judge = judges.acquire_owned().await;
    // Judging waits for the disk, and showing waits for whoever judges.
    let judged = tokio::task::spawn_blocking(move || {
        let _judge = judge;
        match posted {
            Some(body) => {
                let answer = service.witness.add_checkpoint(&body, (service.clock)());
                (service.told)(&answer);
                Reply::of(&answer)
            }
            None => shown(&service.witness, &path),
        }
    });
    judged.await.unwrap_or_else(|_| Reply::text(500, "")).into()
}

async fn read(body: Incoming, time: Duration) -> Result<Bytes, Reply> {
    match timeout(time, Limited::new(body, REQUEST_LEN_MAX).collect()).await {
        Err(_) => Err(Reply::text(408, "request/too-slow\n")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Reply::text(413, "request/too-long\n"))
        }
        Ok(Err(_)) => Err(Reply::text(400, "request/body\n")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// What can be read: who this witness is, and the newest checkpoint of each log.
fn shown<K: Keeper>(witness: &Witness<K>, path: &str) -> Reply {
    if path == "/" {
        return Reply::text(200, page(witness));
    }
    let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
    let origin = hash.and_then(|hash| {
        let mut origins = witness.logs().map(|(origin, _)| origin);
        origins.find(|origin| origin_hash(origin) == hash)
    });
    match origin.and_then(|origin| witness.newest(origin)) {
        Some(note) => Reply::text(200, note),
        None => Reply::text(404, "request/not-found\n"),
    }
}

fn page<K: Keeper>(witness: &Witness<K>) -> String {
    let key = witness.verifier_key();
    let mut page = format!("{} is a witness (c2sp.org/tlog-witness)\n{key}\n\n", key.name());
    for (origin, seen) in witness.logs() {
        let seen = seen.map_or_else(
            || "nothing cosigned yet".to_owned(),
            |seen| format!("size {} at {} s", seen.size, seen.time.unix_seconds()),
        );
        let _ = writeln!(page, "{origin}: {seen}\n  /{}/checkpoint", origin_hash(origin));
    }
    page
}
