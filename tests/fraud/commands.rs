//! `compare`, `lodge` and `audit --fraud-proof` on the command line.

use std::fs;

use super::*;
use crate::cli::Desk;

#[test]
fn two_copies_that_do_not_fit_make_a_proof() {
    let desk = Desk::with_ledger();
    let (folder, forge) = (desk.path("charity"), honest());
    let log = forge.entries();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("test.trust", forge.trust().to_string().as_bytes());
    write("one.zip", &Files::of(&log, "operator").zip());
    write("forked.zip", &Files::of(&fork(&forge, 3).entries(), "operator").zip());
    write("old", note(&log[..4]).to_string().as_bytes());
    write("seen.trust", forge.trust().with_newest(note(&log[..4])).unwrap().to_string().as_bytes());

    let fits = desk.json("charity", "compare one.zip old --trust test.trust");
    assert_eq!(fits["fit"], true);
    let fits = desk.run("charity", "compare seen.trust one.zip --trust test.trust");
    assert!(fits.contains("fit"), "{fits}");

    for (with, deed) in [("one.zip", "two-entries"), ("seen.trust", "two-trees")] {
        let line =
            format!("compare forked.zip {with} --trust test.trust --out {deed}.fraud --json");
        let output = desk.command("charity", &crate::cli::words(&line)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["accusation"]["deed"], deed);
        assert_eq!(answer["accusation"]["heads"][0]["key"], key("operator").to_string());
        let proof = fs::read(folder.join(format!("{deed}.fraud"))).unwrap();
        assert!(Fraud::parse(&proof).unwrap().check(&forge.trust()).is_ok());
    }
    desk.refused("charity", "compare old forked.zip --trust seen.key", "file/not-found", 2);
    write("forked", note(&fork(&forge, 3).entries()).to_string().as_bytes());
    desk.refused("charity", "compare old forked --trust test.trust", "compare/files", 2);
    desk.refused(
        "charity",
        "compare test.trust forked --trust test.trust",
        "compare/no-checkpoint",
        2,
    );
}
