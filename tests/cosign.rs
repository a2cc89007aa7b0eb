//! The log's side of witnessing: what witnesses are asked, what is taken from them, and what is not.

mod commands;
pub mod fake;
mod writing;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;

use giftproof::cosign::{AskEnd, Asked, ask_all};
use giftproof::ledger::{CHECKPOINT_FILE, Ledger, POLICY_FILE};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::policy::Policy;
use tempfile::TempDir;

use crate::ledger::{Author, folder_with};
use fake::{Fake, Identity, Reply, SIGNED_AT};

/// Makes the ledger ask these witnesses; all of them must cosign.
fn witness_by(folder: &Path, witnesses: &[&Fake]) {
    let lines: String = witnesses.iter().map(|witness| witness.line()).collect();
    let names: Vec<&str> = witnesses.iter().map(|witness| witness.identity.name.as_str()).collect();
    let policy = format!("{lines}group all-of-them all {}\nquorum all-of-them\n", names.join(" "));
    fs::write(folder.join(POLICY_FILE), policy).unwrap();
}

pub fn ledger_of(entries: u64, witnesses: &[&Fake]) -> (TempDir, Author) {
    let (folder, author) = folder_with(entries);
    witness_by(folder.path(), witnesses);
    (folder, author)
}

/// Asks, and gives how it ended for each witness: the size that it has cosigned, or a code.
pub fn ask(folder: &Path) -> Vec<Result<u64, String>> {
    ask_all(Ledger::open(folder).unwrap().log()).into_iter().map(end).collect()
}

fn end(asked: Asked) -> Result<u64, String> {
    match asked.end {
        AskEnd::Cosigned { size, time } => {
            assert_eq!(time.unix_seconds(), SIGNED_AT + size);
            Ok(size)
        }
        AskEnd::Failed { code, .. } => Err(code),
        AskEnd::Waiting => Err("waiting".to_owned()),
    }
}

pub fn grow(folder: &Path, author: &Author, quantities: std::ops::Range<u64>) {
    // Without witnesses, as when nobody can be reached.
    let policy = fs::read(folder.join(POLICY_FILE)).unwrap();
    fs::remove_file(folder.join(POLICY_FILE)).unwrap();
    let writer = giftproof::writer::Writer::open(
        folder,
        crate::util::secret("operator"),
        crate::ledger::clock(),
    )
    .unwrap();
    for answer in writer.submit_many(quantities.map(|q| author.donation(q)).collect()) {
        answer.unwrap();
    }
    writer.close().unwrap();
    fs::write(folder.join(POLICY_FILE), policy).unwrap();
}

/// Who has cosigned the checkpoint that others see, by the policy of the folder.
fn shown_by(folder: &Path) -> Vec<String> {
    let shown = SignedCheckpoint::parse(&fs::read(folder.join(CHECKPOINT_FILE)).unwrap()).unwrap();
    let policy = Policy::parse(&fs::read(folder.join(POLICY_FILE)).unwrap()).unwrap();
    let by = policy.cosignatures(&shown).unwrap();
    by.into_iter().map(|by| by.witness).collect()
}

#[test]
fn a_witness_is_asked_with_proofs_that_another_library_accepts() {
    let (one, two) = (Fake::new("one.example"), Fake::new("two.example"));
    let (folder, author) = ledger_of(3, &[&one, &two]);
    let mut size = 3;
    assert_eq!(ask(folder.path()), [Ok(3), Ok(3)]);
    for (step, more) in [1, 4, 250, 1, 300, 0].into_iter().enumerate() {
        let first = 1000 * (step as u64 + 1);
        grow(folder.path(), &author, first..first + more);
        size += more;
        assert_eq!(ask(folder.path()), [Ok(size), Ok(size)]);
        assert_eq!(shown_by(folder.path()), ["one.example", "two.example"]);
    }
    // First contact says 0; afterwards it is known what they know, also when nothing is new.
    let asked = [(0, 3), (3, 4), (4, 8), (8, 258), (258, 259), (259, 559), (559, 559)];
    assert_eq!(one.asked(), asked);
    assert_eq!(two.asked(), asked);
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.witnessed().accepted().unwrap(), ledger.log().cosigned());
    assert_eq!(ledger.trust().unwrap().newest().unwrap(), &ledger.log().cosigned());
    assert_eq!(ledger.trust().unwrap().policy(), ledger.witnessed().policy());
}

#[test]
fn what_a_witness_knows_is_learnt_from_its_409() {
    let witness = Fake::new("one.example");
    let (folder, author) = ledger_of(3, &[&witness]);
    assert_eq!(ask(folder.path()), [Ok(3)]);
    // What was kept is lost, and the witness knows more than nothing.
    fs::remove_dir_all(folder.path().join("cosigned")).unwrap();
    grow(folder.path(), &author, 100..110);
    assert_eq!(ask(folder.path()), [Ok(13)]);
    assert_eq!(witness.asked()[1..], [(0, 13), (3, 13)]);
    // A witness that has lost its memory says 0, and begins again.
    let forgetful = Reply::Http(409, "Content-Type: text/x.tlog.size\r\n", b"0\n".to_vec());
    grow(folder.path(), &author, 200..201);
    witness.then(forgetful).then(Reply::Made(|request, identity| {
        assert_eq!((request.old, request.proof.len()), (0, 0));
        identity.cosign(&request.text, SIGNED_AT + request.size())
    }));
    assert_eq!(ask(folder.path()), [Ok(14)]);
}

#[test]
fn what_is_no_cosignature_of_this_checkpoint_is_refused() {
    let size = |size: &str| {
        Reply::Http(409, "Content-Type: text/x.tlog.size\r\n", size.as_bytes().to_vec())
    };
    let http = |status| Reply::Http(status, "", b"why\x1b[31m\nmore".to_vec());
    let cases: Vec<(Vec<Reply>, &str)> = vec![
        (vec![http(400)], "witness/bad-request"),
        (vec![http(403)], "witness/untrusted-key"),
        (vec![http(404)], "witness/unknown-log"),
        (vec![http(409)], "witness/conflict"),
        (vec![http(422)], "witness/inconsistent"),
        (vec![http(500)], "witness/status"),
        (vec![http(201)], "witness/status"),
        (vec![size("0\n")], "witness/conflict"),
        (vec![size("2")], "witness/conflict"),
        (vec![size("02\n")], "witness/conflict"),
        (vec![size("-1\n")], "witness/conflict"),
        (vec![size("1\n"), size("2\n"), size("1\n"), size("2\n")], "witness/conflict"),
        (vec![size("4\n")], "ledger/behind-witness"),
        (vec![size("18446744073709551615\n")], "ledger/behind-witness"),
        (vec![size("2\n"), http(422)], "ledger/forked"),
        (vec![Reply::Http(200, "", Vec::new())], "witness/answer"),
        (vec![Reply::Http(200, "", b"garbage\n".to_vec())], "witness/answer"),
        (vec![Reply::Http(200, "", vec![0xff; 99])], "witness/answer"),
        (vec![Reply::Endless], "witness/answer"),
        (vec![Reply::Raw(b"garbage\r\n\r\n")], "witness/unreachable"),
        (vec![Reply::Raw(b"")], "witness/unreachable"),
        (vec![Reply::Made(|r, i| i.cosign(&r.text, 1).trim_end().to_owned())], "witness/answer"),
        (vec![Reply::Made(|r, i| i.cosign(&r.text, 1) + "\n")], "witness/answer"),
        (
            vec![Reply::Made(|r, _| Identity::new("two.example").cosign(&r.text, 1))],
            "witness/answer",
        ),
        (vec![Reply::Made(|r, i| i.cosign(&r.text, 0))], "witness/signature"),
        (vec![Reply::Made(|r, i| i.cosign(&r.text, 1 << 63))], "witness/signature"),
        (vec![Reply::Made(|r, i| i.cosign(&format!("{}more\n", r.text), 1))], "witness/signature"),
        (
            vec![Reply::Made(|r, i| i.cosign(&r.text.replacen("\n3\n", "\n2\n", 1), 1))],
            "witness/signature",
        ),
        (
            // The line's second to last character holds bits of the signature's end.
            vec![Reply::Made(|r, i| {
                let line = i.cosign(&r.text, 1);
                let at = line.len() - 10;
                let other = if &line[at..=at] == "A" { "B" } else { "A" };
                format!("{}{other}{}", &line[..at], &line[at + 1..])
            })],
            "witness/signature",
        ),
    ];
    for (number, (replies, code)) in cases.into_iter().enumerate() {
        let witness = Fake::new("one.example");
        let (folder, _) = ledger_of(3, &[&witness]);
        let before = fs::read(folder.path().join(CHECKPOINT_FILE)).unwrap();
        let tries = replies.len();
        for reply in replies {
            witness.then(reply);
        }
        assert_eq!(ask(folder.path()), [Err(code.to_owned())], "case {number}");
        assert_eq!(witness.requests().len(), tries, "case {number}: {code}");
        // Nothing was taken, and it is remembered why.
        assert_eq!(fs::read(folder.path().join(CHECKPOINT_FILE)).unwrap(), before);
        let ledger = Ledger::open(folder.path()).unwrap();
        let trouble = ledger.witnessed().trouble("one.example").unwrap();
        assert_eq!((trouble.code.as_str(), trouble.failures), (code, 1));
        assert!(!trouble.why.contains(char::is_control), "{}", trouble.why);
        assert!(ledger.witnessed().newest_of("one.example").is_none());
        drop(ledger);
        // It does its work again, and all is forgotten.
        assert_eq!(ask(folder.path()), [Ok(3)], "case {number}");
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.witnessed().trouble("one.example"), None);
    }
}

#[test]
fn lines_of_other_keys_beside_its_own_mean_nothing() {
    let witness = Fake::new("one.example");
    let (folder, _) = ledger_of(3, &[&witness]);
    witness.then(Reply::Made(|request, identity| {
        let other = Identity::new("two.example").cosign("something else\n", 7);
        let long = format!("\u{2014} one.example {}\n", "A".repeat(3264));
        other + &long + &identity.cosign(&request.text, SIGNED_AT + request.size())
    }));
    assert_eq!(ask(folder.path()), [Ok(3)]);
    let shown = fs::read_to_string(folder.path().join(CHECKPOINT_FILE)).unwrap();
    assert!(!shown.contains("two.example"), "{shown}");
    assert_eq!(shown.lines().count(), 6, "{shown}");
}

#[test]
fn a_redirect_is_not_followed() {
    let (witness, elsewhere) = (Fake::new("one.example"), Fake::new("one.example"));
    let (folder, _) = ledger_of(3, &[&witness]);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/add-checkpoint\r\n", elsewhere.url());
        witness.then(Reply::Http(status, location.leak(), Vec::new()));
        assert_eq!(ask(folder.path()), [Err("witness/status".to_owned())]);
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn who_is_not_there_or_does_not_answer_holds_up_nobody_else() {
    let (absent, address) = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (Identity::new("absent.example"), listener.local_addr().unwrap())
    };
    let (silent, good) = (Fake::new("silent.example"), Fake::new("good.example"));
    let (asked, was_asked) = mpsc::channel();
    let (_never, go) = mpsc::channel();
    silent.then(Reply::Hold { asked, go });
    let (folder, _) = folder_with(3);
    let policy = format!(
        "witness absent {} http://{address}\nwitness nowhere {}\n{}{}quorum good.example\n",
        absent.vkey(),
        Identity::new("nowhere.example").vkey(),
        silent.line(),
        good.line(),
    );
    fs::write(folder.path().join(POLICY_FILE), policy).unwrap();
    let ends = ask(folder.path());
    was_asked.recv().unwrap();
    let refused = |code: &str| Err(code.to_owned());
    let [unreachable, no_url, timeout] =
        ["witness/unreachable", "witness/no-url", "witness/timeout"].map(refused);
    assert_eq!(ends, [unreachable, no_url, timeout, Ok(3)]);
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.witnessed().accepted().unwrap().checkpoint().size, 3);
}

#[test]
fn what_is_damaged_of_the_cosignatures_is_asked_for_again() {
    let (one, two) = (Fake::new("one.example"), Fake::new("two.example"));
    let (folder, _) = ledger_of(3, &[&one, &two]);
    ask(folder.path());
    let file = folder.path().join("cosigned/3");
    let whole = fs::read(&file).unwrap();
    for bytes in [&b""[..], b"garbage", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
        fs::write(&file, bytes).unwrap();
        fs::write(folder.path().join("cosigned/troubles.json"), bytes).unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(ledger.witnessed().accepted().is_none());
    }
    // A wrong signature among them: none of the file is believed.
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&file, &flipped).unwrap();
        match Ledger::open(folder.path()) {
            Ok(ledger) => {
                let accepted = ledger.witnessed().accepted();
                // The operator's line is checked elsewhere: it is not what witnesses say.
                let same = |note: &SignedCheckpoint| {
                    note.note().text().as_bytes() == &whole[..note.note().text().len()]
                };
                assert!(accepted.is_none_or(|note| same(&note)), "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    fs::write(&file, b"garbage").unwrap();
    assert_eq!(ask(folder.path()), [Ok(3), Ok(3)]);
    assert_eq!(one.asked(), [(0, 3), (0, 3), (3, 3)]);
}

#[test]
fn a_policy_that_is_none_stops_the_ledger() {
    let (folder, _) = folder_with(3);
    for bytes in [&b"quorum"[..], b"", b"quorum none", b"quorum \xff\n", &[b'#'; 70_000]] {
        fs::write(folder.path().join(POLICY_FILE), bytes).unwrap();
        assert_eq!(Ledger::open(folder.path()).err().unwrap().code(), "ledger/policy");
    }
    fs::remove_file(folder.path().join(POLICY_FILE)).unwrap();
    assert!(Ledger::open(folder.path()).is_ok());
}
