//! The witness over HTTP, on the loopback interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use giftproof::model::witness::{REQUEST_LEN_MAX, origin_hash};
use giftproof::witness::serve::{Limits, Service, serve};
use tokio::sync::oneshot;

use super::*;

/// A witness that answers until it is dropped.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    told: Arc<Mutex<Vec<u16>>>,
}

impl Running {
    fn new(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let service = Service {
            witness: open(&Shared::default(), &[1], 3),
            limits,
            clock: || NOW,
            told: Box::new(move |answer| telling.lock().unwrap().push(answer.status())),
        };
        let stop_asked = async move {
            let _ = stopped.await;
        };
        let thread =
            std::thread::spawn(move || serve(service, listener, stop_asked, || ()).unwrap());
        Self { address, stop: Some(stop), thread: Some(thread), told }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client(stream)
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Client(TcpStream);

#[derive(Debug)]
struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).unwrap();
    }

    fn post(&mut self, body: &str) -> Said {
        let len = body.len();
        self.send(&format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {len}\r\n\r\n{body}"
        ));
        self.read(true)
    }

    fn get(&mut self, method: &str, path: &str) -> Said {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: w\r\n\r\n"));
        self.read(method != "HEAD")
    }

    fn read(&mut self, with_body: bool) -> Said {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut said = Said { status, head, body: String::new() };
        let len: usize = said.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; if with_body { len } else { 0 }];
        self.0.read_exact(&mut body).unwrap();
        said.body = String::from_utf8(body).unwrap();
        said
    }

    /// Whether the other side has closed the connection, without saying anything more.
    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_log_and_a_monitor_talk_to_it_over_one_connection() {
    let mut running = Running::new(Limits::default());
    let mut client = running.connect();
    let path = format!("/{}/checkpoint", origin_hash(&origin()));
    assert_eq!(client.get("GET", &path).status, 404, "never cosigned");

    let first = request(0, &leaves(3, 0, 0));
    let said = client.post(&first.to_string());
    assert_eq!(
        (said.status, said.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    let note = format!("{}{}", first.checkpoint, said.body);
    let note = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    assert_eq!(note.verify(&vkey(1), [&witness_vkey()]).unwrap().len(), 1);

    let said = client.post(&request(0, &leaves(5, 0, 0)).to_string());
    assert_eq!((said.status, said.body.as_str()), (409, "3\n"));
    assert_eq!(said.header("content-type"), Some("text/x.tlog.size"));
    assert_eq!(client.post(&request(3, &leaves(5, 1, 1)).to_string()).status, 422);
    assert_eq!(client.post("old\n").status, 400);
    assert_eq!(client.post(&request(3, &leaves(5, 0, 0)).to_string()).status, 200);
    assert_eq!(client.post(&request(5, &leaves(6, 0, 0)).to_string()).status, 200);
    let said = client.post(&request(6, &leaves(7, 0, 0)).to_string());
    assert_eq!((said.status, said.header("retry-after")), (429, Some("20")));

    let said = client.get("GET", &path);
    let shown = SignedCheckpoint::parse(said.body.as_bytes()).unwrap();
    assert_eq!(shown.verify(&vkey(1), [&witness_vkey()]).unwrap().len(), 1);
    assert_eq!((said.status, shown.checkpoint().size), (200, 6));
    assert_eq!(said.header("access-control-allow-origin"), Some("*"));
    let head = client.get("HEAD", &path);
    assert_eq!(head.header("content-length").unwrap(), said.body.len().to_string());
    let page = client.get("GET", "/").body;
    for part in [witness_vkey().to_string(), format!("{ORIGIN}: size 6"), path.clone()] {
        assert!(page.contains(&part), "{page}");
    }
    for (method, path, status) in [
        ("GET", "/add-checkpoint", 405),
        ("DELETE", "/", 405),
        ("PUT", &path, 405),
        ("GET", "/checkpoint", 404),
        ("GET", &path.to_uppercase(), 404),
        ("GET", &format!("/{}/checkpoint", "0".repeat(64)), 404),
        ("GET", "/../checkpoint", 404),
    ] {
        let said = client.get(method, path);
        assert_eq!(said.status, status, "{method} {path}");
        assert_eq!(said.header("allow").is_some(), status == 405);
    }
    assert_eq!(*running.told.lock().unwrap(), [200, 409, 422, 400, 200, 200, 429]);
    running.stop();
    assert!(client.is_closed());
}

#[test]
fn large_and_broken_bodies_are_refused() {
    let running = Running::new(Limits::default());
    // The longest request is read; one byte more is not, whether it is announced or not.
    let longest = "x".repeat(REQUEST_LEN_MAX);
    assert_eq!(running.connect().post(&longest).status, 400);
    let mut client = running.connect();
    client.send(&format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\n\r\n",
        REQUEST_LEN_MAX + 1
    ));
    client.send(&longest);
    client.send("x");
    assert_eq!(client.read(true).status, 413);
    let mut client = running.connect();
    client.send("POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(&format!("{:x}\r\n{longest}\r\n1\r\nx\r\n", REQUEST_LEN_MAX));
    assert_eq!(client.read(true).status, 413);
    // What is no HTTP, or has an endless head, is told so and cut off.
    let mut client = running.connect();
    client.send("old 0\n\nhello\n\n");
    assert_eq!(client.read(true).status, 400);
    let mut client = running.connect();
    client.send(&format!("GET / HTTP/1.1\r\nHost: w\r\nX: {}\r\n", "x".repeat(32 * 1024)));
    assert_eq!(client.read(true).status, 431);
}

#[test]
fn slow_clients_are_cut_off_and_others_served() {
    let short = Duration::from_millis(300);
    let limits = Limits { connections: 2, head: short, body: short, ..Limits::default() };
    let running = Running::new(limits);
    // Two clients hold both places: one never ends its head, one its body.
    let (mut head, mut body) = (running.connect(), running.connect());
    head.send("POST /add-checkpoint HTTP/1.1\r\nHost:");
    body.send("POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold");
    // A third one waits until they are cut off, and is served.
    let said = running.connect().post(&request(0, &leaves(3, 0, 0)).to_string());
    assert_eq!(said.status, 200);
    assert_eq!(body.read(true).status, 408);
    assert!(head.is_closed());
}

#[test]
fn a_connection_ends_at_last() {
    let short = Duration::from_millis(300);
    let limits = Limits { connection: short, ..Limits::default() };
    let running = Running::new(limits);
    let mut client = running.connect();
    assert_eq!(client.get("GET", "/").status, 200);
    assert!(client.is_closed());
}

#[test]
fn what_is_under_way_is_answered_when_it_stops() {
    let mut running = Running::new(Limits::default());
    let mut client = running.connect();
    let body = request(0, &leaves(3, 0, 0)).to_string();
    client.send(&format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    ));
    // It says so when it has begun to read.
    let mut begun = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    client.0.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stop = running.stop.take().unwrap();
    stop.send(()).unwrap();
    client.send(&body);
    assert_eq!(client.read(true).status, 200);
    running.stop();
    assert!(TcpStream::connect(running.address).is_err(), "nobody listens any more");
}
