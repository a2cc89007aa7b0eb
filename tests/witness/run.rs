//! The real binary as a hospital association runs it: one command, beside a real ledger.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use giftproof::keyfile;
use giftproof::ledger::Ledger;
use giftproof::model::trust::TrustFile;

use super::*;
use crate::cli::{Desk, words};

const SERVE: &str = "witness serve association --unencrypted --listen 127.0.0.1:0 --json";
pub const NAMED: &str = "--name witness.example/association --trust giftproof.trust";

/// `witness serve`, as a process; stopped when dropped.
pub struct Process {
    child: Child,
    pub address: String,
    pub vkey: VerifierKey,
}

impl Process {
    pub fn start(desk: &Desk, options: &str) -> Self {
        let mut command = desk.command("hospital", &words(&format!("{SERVE} {options}")));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let answer = read_object(child.stdout.as_mut().unwrap());
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|_| {
            let mut told = String::new();
            child.stderr.as_mut().unwrap().read_to_string(&mut told).unwrap();
            panic!("{told}")
        });
        let address = answer["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let vkey = VerifierKey::parse(answer["vkey"].as_str().unwrap()).unwrap();
        Self { child, address, vkey }
    }

    /// The status and the body.
    pub fn post(&self, request: &AddCheckpoint) -> (u16, String) {
        let body = request.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let len = body.len();
        write!(
            stream,
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Asks the process to end as the system does; gives what it told.
    pub fn stop(mut self) -> String {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        told
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A JSON object that ends with a brace on a line of its own.
fn read_object(out: &mut ChildStdout) -> String {
    let mut text = String::new();
    let mut out = BufReader::new(out);
    while !text.ends_with("\n}\n") && out.read_line(&mut text).unwrap() > 0 {}
    text
}

fn leaves_of(ledger: &Ledger) -> Vec<LeafHash> {
    let size = ledger.checkpoint().checkpoint().size;
    (0..size).map(|index| ledger.log().leaf(index).unwrap()).collect()
}

#[test]
fn one_command_witnesses_a_ledger_and_catches_its_operator_forking() {
    let desk = Desk::with_ledger();
    let trust = desk.ledger().join("giftproof.trust");
    // The trust file as the association got it, with the checkpoint of that day.
    desk.run("office", "export day-one.zip --trust day-one.trust");
    let pinned = std::fs::read(desk.path("office").join("day-one.trust")).unwrap();
    std::fs::write(desk.path("hospital").join("giftproof.trust"), &pinned).unwrap();
    assert!(trust.exists());
    let pinned = TrustFile::parse(&pinned).unwrap();
    let begun = pinned.newest().unwrap().checkpoint().size as usize;

    let witness = Process::start(&desk, NAMED);
    let vkey = witness.vkey.clone();
    assert_eq!(vkey.name().as_str(), "witness.example/association");
    assert_eq!(desk.run("hospital", "witness vkey association"), format!("{vkey}\n"));
    // A second one on the same folder is refused.
    let again = format!("{SERVE} --trust giftproof.trust");
    desk_refuses(&desk, &again, "witness/locked");

    // The ledger grows; it must show the witness that it grew from what the trust file pins.
    desk.donate();
    let ledger = Ledger::open(&desk.ledger()).unwrap();
    let tree = leaves_of(&ledger);
    assert!(begun < tree.len());
    let first_contact =
        AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: ledger.checkpoint().clone() };
    assert_eq!(witness.post(&first_contact), (409, format!("{begun}\n")));
    let grown = AddCheckpoint {
        old_size: begun as u64,
        proof: proof(begun, &tree),
        checkpoint: ledger.checkpoint().clone(),
    };
    let (status, line) = witness.post(&grown);
    assert_eq!(status, 200, "{line}");
    let note = SignedCheckpoint::parse(format!("{}{line}", grown.checkpoint).as_bytes()).unwrap();
    assert_eq!(note.verify(pinned.operator(), [&vkey]).unwrap().len(), 1);

    // The same operator signs another history of the same size.
    let operator = keyfile::read(&desk.path("office").join("operator.key"), None).unwrap();
    let mut forged = grown.checkpoint.checkpoint().clone();
    forged.root = root(&leaves(tree.len(), 0, 1));
    let forged = forged.sign(&SigningKey::from_bytes(operator.secret.seed()));
    let fork = AddCheckpoint { old_size: tree.len() as u64, proof: Vec::new(), checkpoint: forged };
    assert_eq!(witness.post(&fork).0, 422);
    let told = witness.stop();
    let line = |status: &str| told.lines().any(|line| line.ends_with(status));
    assert!(line("409 cosign/conflict") && line("200 cosigned"), "{told}");
    assert!(line("422 cosign/root-differs"), "{told}");
    assert!(told.contains("FORK: the log ledger.example/test"), "{told}");
    let case = told.lines().find_map(|line| line.split_once("both are in ")).unwrap().1;
    for note in ["cosigned", "offered"] {
        let note = std::fs::read(desk.path("hospital").join(case).join(note)).unwrap();
        let note = SignedCheckpoint::parse(&note).unwrap();
        assert!(note.verify(pinned.operator(), []).is_ok());
        assert_eq!(note.checkpoint().size, tree.len() as u64);
    }

    // The same command starts it again; nothing is forgotten.
    let witness = Process::start(&desk, NAMED);
    assert_eq!(witness.vkey, vkey);
    assert_eq!(witness.post(&first_contact), (409, format!("{}\n", tree.len())));
    witness.stop();
    // For any log of that kind, without a trust file.
    let list = format!("log {}\n", pinned.operator());
    std::fs::write(desk.path("hospital").join("logs"), list).unwrap();
    let witness = Process::start(&desk, "--logs logs");
    assert_eq!(witness.post(&first_contact).0, 409);
    assert!(!witness.stop().contains("FORK"));
}

/// `witness serve` must not start, for this reason.
fn desk_refuses(desk: &Desk, line: &str, code: &str) {
    for language in ["", " --lang zh"] {
        let output =
            desk.command("hospital", &words(&format!("{line}{language}"))).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {told}");
        assert!(told.contains(&format!("[{code}]")), "{line}: not {code}, but {told}");
    }
}

#[test]
fn a_witness_that_could_be_deceived_does_not_start() {
    let desk = Desk::with_ledger();
    let hospital = desk.path("hospital");
    let trust = desk.ledger().join("giftproof.trust");
    std::fs::copy(trust, hospital.join("giftproof.trust")).unwrap();
    let refuses = |options: &str, code| desk_refuses(&desk, &format!("{SERVE} {options}"), code);
    refuses("--name w --trust none.trust", "file/not-found");
    refuses("--trust giftproof.trust", "witness/no-name");
    refuses("--name a+b --trust giftproof.trust", "witness/name");
    // A key of somebody's, which may have signed; and one beside which the notes are gone.
    refuses("--name w --trust giftproof.trust --key hospital-a.key", "witness/used-key");
    std::fs::create_dir(hospital.join("association")).unwrap();
    std::fs::write(hospital.join("association/x"), "").unwrap();
    refuses("--name w --trust giftproof.trust", "witness/occupied");
    std::fs::remove_dir_all(hospital.join("association")).unwrap();
    // Where nobody can be asked for a passphrase, and none is given, nothing is left behind but
    // an empty folder.
    let guarded = "witness serve association --listen 127.0.0.1:0 --name w --trust giftproof.trust";
    desk_refuses(&desk, guarded, "keyfile/no-passphrase");
    assert_eq!(std::fs::read_dir(hospital.join("association")).unwrap().count(), 0);

    Process::start(&desk, "--name w --trust giftproof.trust").stop();
    refuses("--name other --trust giftproof.trust", "witness/other-name");
    refuses("--key hospital-a.key --trust giftproof.trust", "witness/other-key");
    refuses("", "witness/no-logs");
    std::fs::write(hospital.join("list"), "log x\n").unwrap();
    refuses("--logs list", "witness/log-list");
    let own = desk.run("hospital", "witness vkey association");
    std::fs::write(hospital.join("list"), format!("witness w {own}")).unwrap();
    refuses("--logs list", "witness/no-logs");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let taken_line =
        format!("witness serve association --trust giftproof.trust --listen {address}");
    desk_refuses(&desk, &taken_line, "witness/listen");
    desk_refuses(&desk, "witness vkey elsewhere", "witness/no-folder");
    desk_refuses(&desk, "witness vkey .", "witness/not-a-witness");
}
