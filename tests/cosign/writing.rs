//! Witnesses beside a writer: nobody is held up, and nothing is signed on top of an older copy.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use giftproof::cosign::Cosigner;
use giftproof::ledger::{Ledger, POLICY_FILE};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::writer::Writer;

use super::fake::{Fake, Reply};
use super::{ask, end, grow, ledger_of, shown_by, witness_by};
use crate::ledger::{check_ledger, clock, folder_with};
use crate::util::{copy_folder, secret};

/// Longer than any test is to wait.
const LONG: Duration = Duration::from_secs(60);

fn open(folder: &Path) -> Writer {
    Writer::open(folder, secret("operator"), clock()).unwrap()
}

#[test]
fn a_commit_is_cosigned_after_it_is_durable() {
    let witness = Fake::new("one.example");
    let (folder, author) = ledger_of(3, &[&witness]);
    let writer = open(folder.path());
    writer.submit(author.donation(50)).unwrap();
    let ends: Vec<_> = writer.ask_witnesses(LONG).into_iter().map(end).collect();
    assert_eq!(ends, [Ok(4)]);
    // First the head as it was opened, then the commit.
    assert_eq!(witness.asked(), [(0, 3), (3, 4)]);
    assert_eq!(shown_by(folder.path()), ["one.example"]);
    assert_eq!(writer.with_ledger(|ledger| ledger.log().cosigned()).note().signatures().len(), 2);
    writer.submit(author.donation(51)).unwrap();
    // The newer checkpoint is what others see, cosigned or not.
    assert!(shown_by(folder.path()).is_empty());
    writer.close().unwrap();
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn a_witness_that_does_not_answer_holds_up_no_writer() {
    let (silent, good) = (Fake::new("silent.example"), Fake::new("good.example"));
    let (folder, author) = ledger_of(3, &[&silent, &good]);
    let (asked, was_asked) = mpsc::channel();
    let (tell, go) = mpsc::channel();
    silent.then(Reply::Hold { asked, go });
    let writer = open(folder.path());
    was_asked.recv().unwrap();
    // It has the request in its hands, and nothing it does from here on is needed.
    writer.submit(author.donation(50)).unwrap();
    (51..60)
        .for_each(|quantity| drop(writer.submit_later(author.donation(quantity)).wait().unwrap()));
    while good.size() < 13 {
        writer.ask_witnesses(Duration::from_millis(10));
    }
    writer.close().unwrap();
    // Until now it has answered nothing.
    assert_eq!((silent.requests().len(), silent.size()), (1, 0));
    tell.send(()).unwrap();
}

#[test]
fn what_comes_after_closing_is_not_written() {
    let silent = Fake::new("silent.example");
    let (folder, _) = ledger_of(3, &[&silent]);
    let (asked, was_asked) = mpsc::channel();
    let (tell, go) = mpsc::channel();
    silent.then(Reply::Hold { asked, go });
    let writer = open(folder.path());
    was_asked.recv().unwrap();
    writer.close().unwrap();
    // The folder is free at once, whoever is still to answer.
    let ledger = Ledger::open(folder.path()).unwrap();
    tell.send(()).unwrap();
    while silent.size() < 3 {
        std::thread::yield_now();
    }
    drop(silent);
    assert!(ledger.witnessed().newest_of("silent.example").is_none());
    assert!(shown_by(folder.path()).is_empty());
}

#[test]
fn nothing_is_signed_on_top_of_an_older_copy() {
    let witness = Fake::new("one.example");
    let (folder, author) = ledger_of(3, &[&witness]);
    let old = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), old.path());
    grow(folder.path(), &author, 50..55);
    assert_eq!(ask(folder.path()), [Ok(8)]);

    let before = fs::read(old.path().join("checkpoint")).unwrap();
    let writer = open(old.path());
    let refused = writer.submit(author.donation(70)).unwrap_err();
    assert_eq!(refused.code(), "ledger/behind-witness");
    assert_eq!(writer.submit(author.donation(71)).unwrap_err().code(), "writer/stopped");
    assert_eq!(writer.close().unwrap_err().code(), "ledger/behind-witness");
    assert_eq!(fs::read(old.path().join("checkpoint")).unwrap(), before);
    assert_eq!(Ledger::open(old.path()).unwrap().state().size, 3);

    // Nor at the next opening, however soon it is.
    let writer = open(old.path());
    assert_eq!(writer.submit(author.donation(70)).unwrap_err().code(), "ledger/behind-witness");
    drop(writer);

    // Somebody went on from the old copy while nobody could be asked: two histories.
    fs::remove_dir_all(old.path().join("cosigned")).unwrap();
    grow(old.path(), &author, 80..90);
    let writer = open(old.path());
    assert_eq!(writer.submit(author.donation(70)).unwrap_err().code(), "ledger/forked");
    drop(writer);
    assert_eq!(Ledger::open(old.path()).unwrap().state().size, 13);

    // Cosignatures that were kept tell by themselves, without anybody being asked.
    fs::remove_dir_all(old.path().join("cosigned")).unwrap();
    copy_folder(&folder.path().join("cosigned"), &old.path().join("cosigned"));
    let asked = witness.requests().len();
    assert_eq!(Ledger::open(old.path()).err().unwrap().code(), "ledger/forked");
    assert_eq!(witness.requests().len(), asked);
    let (short, _) = folder_with(3);
    copy_folder(&folder.path().join("cosigned"), &short.path().join("cosigned"));
    fs::copy(folder.path().join(POLICY_FILE), short.path().join(POLICY_FILE)).unwrap();
    assert_eq!(Ledger::open(short.path()).err().unwrap().code(), "ledger/rolled-back");
    // The newest copy goes on.
    let writer = open(folder.path());
    writer.submit(author.donation(70)).unwrap();
    writer.close().unwrap();
}

#[test]
fn witnesses_that_fail_are_left_alone_and_forbid_nothing() {
    let witness = Fake::new("one.example");
    let (folder, author) = ledger_of(3, &[&witness]);
    witness.then(Reply::Http(500, "", Vec::new()));
    let writer = open(folder.path());
    writer.submit(author.donation(50)).unwrap();
    writer.submit(author.donation(51)).unwrap();
    let ends: Vec<_> = writer.ask_witnesses(LONG).into_iter().map(end).collect();
    assert_eq!(ends, [Err("witness/status".to_owned())]);
    writer.close().unwrap();
    assert_eq!(witness.requests().len(), 1);
    // It still rests after opening again; asked by hand, it is asked.
    let writer = open(folder.path());
    writer.submit(author.donation(52)).unwrap();
    let ends: Vec<_> = writer.ask_witnesses(LONG).into_iter().map(end).collect();
    assert_eq!(ends, [Err("witness/status".to_owned())]);
    writer.close().unwrap();
    assert_eq!(witness.requests().len(), 1);
    assert_eq!(ask(folder.path()), [Ok(6)]);
}

#[test]
fn a_sealed_checkpoint_is_asked_for_at_once_and_kept() {
    let witness = Fake::new("one.example");
    let (folder, author) = ledger_of(3, &[&witness]);
    let later = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    copy_folder(folder.path(), later[0].path());
    grow(later[0].path(), &author, 50..51);
    copy_folder(later[0].path(), later[1].path());
    grow(later[1].path(), &author, 51..52);
    let [three, four, five] = [folder.path(), later[0].path(), later[1].path()]
        .map(|folder| Ledger::open(folder).unwrap());

    let (asked, was_asked) = mpsc::channel();
    let (tell, go) = mpsc::channel();
    witness.then(Reply::Hold { asked, go });
    let cosigner = Cosigner::start(three.log()).unwrap().unwrap();
    was_asked.recv().unwrap();
    cosigner.wake(four.log(), true);
    cosigner.wake(five.log(), false);
    tell.send(()).unwrap();
    let ends: Vec<_> = cosigner.wait(LONG).into_iter().map(end).collect();
    assert_eq!(ends, [Ok(5)]);
    assert_eq!(witness.asked(), [(0, 3), (3, 4), (4, 5)]);
    drop(cosigner);
    let sizes = || {
        let witnessed = Ledger::open(later[1].path()).unwrap().witnessed().clone();
        let size = |note: SignedCheckpoint| note.checkpoint().size;
        (witnessed.accepted().map(size), witnessed.accepted_sealed().map(size))
    };
    drop(five);
    assert_eq!(sizes(), (None, None));
    // What was kept beside the first copy holds for the longest.
    copy_folder(&folder.path().join("cosigned"), &later[1].path().join("cosigned"));
    assert_eq!(sizes(), (Some(5), Some(4)));
}

#[test]
fn witnesses_of_a_quorum_meet_at_the_same_checkpoints() {
    let (slow, quick) = (Fake::new("slow.example"), Fake::new("quick.example"));
    let (folder, author) = folder_with(3);
    witness_by(folder.path(), &[&slow, &quick]);
    let (asked, was_asked) = mpsc::channel();
    let (tell, go) = mpsc::channel();
    slow.then(Reply::Hold { asked, go });
    let writer = open(folder.path());
    was_asked.recv().unwrap();
    writer.submit(author.donation(50)).unwrap();
    while quick.size() < 4 {
        writer.ask_witnesses(Duration::from_millis(10));
    }
    // The quick one is further; what both have cosigned is the older checkpoint.
    tell.send(()).unwrap();
    drop(tell);
    while slow.size() < 4 {
        writer.ask_witnesses(Duration::from_millis(10));
    }
    writer.ask_witnesses(LONG);
    writer.close().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.witnessed().accepted().unwrap().checkpoint().size, 4);
    assert_eq!(slow.asked()[0], (0, 3));
    assert_eq!(quick.asked()[0], (0, 3));
}
