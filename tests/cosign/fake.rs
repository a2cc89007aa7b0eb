//! A witness on loopback that does as it is told. Its parsing, proofs and signatures are not those
//! of the library: `tlog_tiles` checks the proofs, the cosigned message is put together by hand.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use tlog_tiles::{Hash, check_tree};

/// 2026-01-02T00:00:00Z, when fake witnesses sign.
pub const SIGNED_AT: u64 = 1_767_312_000;

/// A request for a cosignature, read apart.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub old: u64,
    pub proof: Vec<Hash>,
    /// The checkpoint's text.
    pub text: String,
}

impl Request {
    fn parse(path: &str, body: &str) -> Self {
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let hash = |line: &str| Hash(BASE64_STANDARD.decode(line).unwrap().try_into().unwrap());
        let (text, signatures) = note.split_once("\n\n").unwrap();
        assert!(signatures.starts_with("\u{2014} ledger.example/test "), "{signatures}");
        assert_eq!(signatures.lines().count(), 1, "only the log has signed: {signatures}");
        let text = format!("{text}\n");
        Self { path: path.to_owned(), old, proof: lines.map(hash).collect(), text }
    }

    pub fn size(&self) -> u64 {
        self.text.lines().nth(1).unwrap().parse().unwrap()
    }

    fn root(&self) -> Hash {
        let root = self.text.lines().nth(2).unwrap();
        Hash(BASE64_STANDARD.decode(root).unwrap().try_into().unwrap())
    }
}

/// What a witness does with a request.
pub enum Reply {
    /// Answers as a witness should.
    Honest,
    /// Status, further header lines, body.
    Http(u16, &'static str, Vec<u8>),
    /// As `Http`, with a body made of the request and the witness's key.
    Made(fn(&Request, &Identity) -> String),
    /// These bytes, whatever they are.
    Raw(&'static [u8]),
    /// A body that does not end.
    Endless,
    /// Tells that it was asked, and answers honestly when it is told to, or its teller is gone.
    Hold { asked: mpsc::Sender<Request>, go: mpsc::Receiver<()> },
}

/// A key under a name.
#[derive(Clone)]
pub struct Identity {
    pub name: String,
    key: SigningKey,
}

impl Identity {
    pub fn new(name: &str) -> Self {
        let seed: [u8; 32] = Sha256::digest(name).into();
        Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) }
    }

    /// `name+id+base64(04 || key)` [C2SP signed-note].
    pub fn vkey(&self) -> String {
        let typed = [&[4][..], self.key.verifying_key().as_bytes()].concat();
        let id = hex::encode(self.id());
        format!("{}+{id}+{}", self.name, BASE64_STANDARD.encode(typed))
    }

    fn id(&self) -> [u8; 4] {
        let public = self.key.verifying_key();
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([0x0a, 4])
            .chain_update(public.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// A signature line over this text [C2SP tlog-cosignature].
    pub fn cosign(&self, text: &str, time: u64) -> String {
        let message = format!("cosignature/v1\ntime {time}\n{text}");
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        let blob = [&self.id()[..], &time.to_be_bytes(), &signature].concat();
        format!("\u{2014} {} {}\n", self.name, BASE64_STANDARD.encode(blob))
    }
}

#[derive(Default)]
struct Memory {
    replies: VecDeque<Reply>,
    requests: Vec<Request>,
    size: u64,
    root: Option<Hash>,
}

/// A witness that listens until it is dropped.
pub struct Fake {
    pub identity: Identity,
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub fn new(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let identity = Identity::new(name);
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, remembered, stops) =
            (identity.clone(), Arc::clone(&memory), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let (identity, memory) = (theirs.clone(), Arc::clone(&remembered));
                // Who hangs up early has seen enough.
                thread::spawn(move || serve(stream.unwrap(), &identity, &memory));
            }
        });
        Self { identity, address, memory, stop, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A line of a policy.
    pub fn line(&self) -> String {
        format!("witness {} {} {}\n", self.identity.name, self.identity.vkey(), self.url())
    }

    /// Answers the next request so.
    pub fn then(&self, reply: Reply) -> &Self {
        self.memory.lock().unwrap().replies.push_back(reply);
        self
    }

    pub fn requests(&self) -> Vec<Request> {
        self.memory.lock().unwrap().requests.clone()
    }

    /// The sizes that it was told it knows, and those of the checkpoints, request by request.
    pub fn asked(&self) -> Vec<(u64, u64)> {
        self.requests().iter().map(|request| (request.old, request.size())).collect()
    }

    /// The newest size that it has cosigned.
    pub fn size(&self) -> u64 {
        self.memory.lock().unwrap().size
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener; those who are held let go by themselves.
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(stream: TcpStream, identity: &Identity, memory: &Mutex<Memory>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap().to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request::parse(&path, std::str::from_utf8(&body).unwrap());
    let reply = {
        let mut memory = memory.lock().unwrap();
        memory.requests.push(request.clone());
        memory.replies.pop_front().unwrap_or(Reply::Honest)
    };
    let mut stream = stream;
    let mut http = |status: u16, headers: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status} Fake\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
    };
    match reply {
        Reply::Honest => {
            let (status, headers, body) = honest(&request, identity, memory);
            http(status, headers, body.as_bytes());
        }
        Reply::Http(status, headers, body) => http(status, headers, &body),
        Reply::Made(make) => http(200, "", make(&request, identity).as_bytes()),
        Reply::Raw(bytes) => drop(stream.write_all(bytes)),
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 Fake\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
        Reply::Hold { asked, go } => {
            let _ = asked.send(request.clone());
            let _ = go.recv();
            let (status, headers, body) = honest(&request, identity, memory);
            http(status, headers, body.as_bytes());
        }
    }
}

/// As the table of C2SP tlog-witness says.
fn honest(
    request: &Request,
    identity: &Identity,
    memory: &Mutex<Memory>,
) -> (u16, &'static str, String) {
    let mut memory = memory.lock().unwrap();
    if request.path != "/add-checkpoint" {
        return (404, "", String::new());
    }
    if request.old > request.size() {
        return (400, "", String::new());
    }
    if request.old != memory.size {
        return (409, "Content-Type: text/x.tlog.size\r\n", format!("{}\n", memory.size));
    }
    let held = match memory.root {
        None => request.proof.is_empty(),
        Some(root) if request.old == request.size() => {
            request.proof.is_empty() && root == request.root()
        }
        Some(root) => {
            let (size, new) = (request.size(), request.root());
            check_tree(&request.proof, size, new, request.old, root).is_ok()
        }
    };
    if !held {
        return (422, "", "no\n".to_owned());
    }
    memory.size = request.size();
    memory.root = Some(request.root());
    (200, "", identity.cosign(&request.text, SIGNED_AT + request.size()))
}
