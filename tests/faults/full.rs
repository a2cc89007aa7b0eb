//! A disk that is full: a process that may write no file beyond a length, so that the database's
//! own writes fail.

use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use giftproof::ledger::Ledger;
use giftproof::writer::Writer;

use super::assert_clean;
use super::kill::{FOLDER, Said, say, submit_aloud};
use crate::ledger::{Author, check_ledger, clock, folder_with};
use crate::util::{copy_folder, secret};

const THREADS: u64 = 4;

/// Writes to a ledger folder until that fails; says what it tries, what is answered, and how it
/// ends. Does nothing where no test has started it.
#[test]
#[ignore = "a process that another test starts"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let writer = match Writer::open(Path::new(&folder), secret("operator"), clock()) {
        Ok(writer) => writer,
        Err(error) => return say(format!("\nunopened {}\n", error.code())),
    };
    say("\nready\n".to_owned());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let writer = &writer;
            scope.spawn(move || {
                let author = Author::of(writer);
                for number in 0..20_000 {
                    let event = author.donation(1 + thread * 1_000_000 + number);
                    if let Err(refused) = submit_aloud(writer, event) {
                        return say(format!("refused {}\n", refused.code()));
                    }
                }
            });
        }
    });
    let closed = writer.close().map_or_else(|error| error.code(), |()| "well");
    say(format!("closed {closed}\n"));
}

/// Runs the child with a bound on the length of files, in bytes; writes beyond it fail.
fn run_child(folder: &Path, limit: u64) -> Output {
    // POSIX counts in units of 512 bytes.
    let line = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec timeout 60 \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh", &(limit / 512).to_string()]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["faults::full::child", "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).output().unwrap()
}

#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let (original, author) = folder_with(2);
    // The database of a new ledger is shorter than the second, and longer than the first. It grows
    // by segments of 512 KiB; the others end within one and between two.
    let limits: [u64; 5] = [600_064, 1 << 20, 1_100_288, 1_400_320, 3 << 19];
    for (number, limit) in limits.into_iter().enumerate() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("ledger");
        copy_folder(original.path(), &folder);
        let output = run_child(&folder, limit);
        let told = String::from_utf8(output.stdout).unwrap();
        let failed = String::from_utf8_lossy(&output.stderr);
        let mut said = Said::default();
        told.lines().for_each(|line| said.hear(line));

        let with = |word: &str| told.lines().filter(|line| line.starts_with(word)).count();
        let what = format!("{limit}: {}, {} answers\n{failed}", output.status, said.answered.len());
        assert!(output.status.success() && !failed.contains("panicked"), "{what}");
        if number == 0 {
            assert_eq!((with("unopened store/io"), said.tried.len()), (1, 0), "{what}");
        } else {
            assert!(said.answered.len() > 100, "{what}");
            // The first whose commit failed, and all that come after it.
            let codes = with("refused writer/stopped") + with("refused store/full");
            assert_eq!((codes, with("closed")), (THREADS as usize, 1), "{what}");
        }

        let ledger = Ledger::open(&folder).unwrap();
        said.holds_of(&ledger);
        assert_clean(&ledger);
        check_ledger(&ledger);
        drop(ledger);
        let writer = Writer::open(&folder, secret("operator"), clock()).unwrap();
        assert!(!writer.submit(author.donation(99_000_000)).unwrap().already, "{what}");
        writer.close().unwrap();
    }
}
