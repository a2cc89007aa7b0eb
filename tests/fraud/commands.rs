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

#[test]
fn a_fraud_proof_is_verified_anywhere_and_an_audit_makes_one() {
    let desk = Desk::with_ledger();
    let (folder, forge) = (desk.path("hospital"), honest());
    let log = forge.entries();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let trust = forge.trust();
    write("test.trust", trust.to_string().as_bytes());
    let seen = trust.clone().with_newest(note(&log[..5])).unwrap();
    write("seen.trust", seen.to_string().as_bytes());
    write("forked.zip", &Files::of(&fork(&forge, 3).entries(), "operator").zip());
    write("honest.zip", &Files::of(&log, "operator").zip());

    let line = "audit forked.zip --trust seen.trust --fraud-proof audit.fraud";
    let output = desk.command("hospital", &crate::cli::words(line)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("audit.fraud") && told.contains(&key("operator").to_string()), "{told}");
    desk.run("hospital", "audit honest.zip --trust seen.trust --fraud-proof none.fraud");
    assert!(!folder.join("none.fraud").exists());

    for (language, words) in [("en", "THE OPERATOR SIGNED"), ("zh", "运营方签署")] {
        let line = format!("verify audit.fraud --trust test.trust --lang {language}");
        let output = desk.command("hospital", &crate::cli::words(&line)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(words) && told.contains(&key("operator").to_string()), "{told}");
    }
    write("honest.fraud", &trees(&log[..5], &log).to_bytes());
    desk.refused("hospital", "verify honest.fraud --trust test.trust", "fraud/fits", 2);
    let proof = fs::read(folder.join("audit.fraud")).unwrap();
    write("cut.fraud", &proof[..proof.len() - 1]);
    desk.refused("hospital", "verify cut.fraud --trust test.trust", "fraud/malformed", 2);
    // Another ledger's operator is not accused by it.
    let office = desk.path("office");
    fs::copy(office.join("ledger").join("giftproof.trust"), folder.join("other.trust")).unwrap();
    desk.refused("hospital", "verify audit.fraud --trust other.trust", "fraud/checkpoint", 2);
}

#[test]
fn a_registrar_lodges_what_everybody_has_signed() {
    let desk = Desk::with_ledger();
    let line = "donate --item masks --quantity 5 --unit piece --for hospital-a \
                --key red-cross.key --draft gift.event";
    desk.run("charity", line);
    let answer =
        desk.json("charity", "lodge gift.event --key ../office/registry-a.key --out a.lodged");
    let bytes = fs::read(desk.path("charity").join("a.lodged")).unwrap();
    let lodged = Lodged::parse(&bytes).unwrap();
    assert_eq!(answer["event"], lodged.event.hash.to_string());
    assert_eq!(lodged.to_bytes(), bytes);
    desk.refused("charity", "lodge gift.event --key stranger.key --out a.lodged", "file/exists", 2);
    // Nothing is confirmed that somebody has yet to sign.
    let path = desk.path("charity").join("gift.event");
    let mut event: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    event["signatures"] = serde_json::json!([null]);
    fs::write(desk.path("charity").join("unsigned.event"), event.to_string()).unwrap();
    desk.refused(
        "charity",
        "lodge unsigned.event --key stranger.key --out b.lodged",
        "event-file/unsigned",
        1,
    );
}

#[test]
fn an_audit_judges_a_lodged_note() {
    use super::seals::{Case, DELAY_SECONDS, End};

    let desk = Desk::with_ledger();
    let folder = desk.path("hospital");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let mut case = Case::new("hospital-a", "registrar-1");
    write("revocation.lodged", &case.lodged);
    write("early.zip", &case.forge(End::Sealed).files().zip());
    case.wait(DELAY_SECONDS + 1);
    let forge = case.forge(End::Sealed);
    write("late.zip", &forge.files().zip());
    write("test.trust", forge.trust().to_string().as_bytes());

    let audit = "--trust test.trust --withheld revocation.lodged --fraud-proof w.fraud";
    let answer = desk.json("hospital", &format!("audit early.zip {audit}"));
    assert_eq!(answer["withheld"]["outcome"], "pending");
    assert!(!folder.join("w.fraud").exists());
    let line = format!("audit late.zip {audit}");
    let output = desk.command("hospital", &crate::cli::words(&line)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("WITHHELD") && told.contains("registrar-1"), "{told}");
    for language in ["en", "zh"] {
        let line = format!("verify w.fraud --trust test.trust --lang {language}");
        let output = desk.command("hospital", &crate::cli::words(&line)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("registrar-1"), "{told}");
    }
    // The word of nobody, about another ledger, of nothing.
    write("stranger.lodged", &Case::new("hospital-a", "stranger").lodged);
    let line = "audit late.zip --trust test.trust --withheld stranger.lodged";
    desk.refused("hospital", line, "lodged/nobody", 2);
    let bundle = desk.path("office").join("ledger");
    let line = format!("audit {} --withheld revocation.lodged", bundle.display());
    desk.refused("hospital", &line, "lodged/other-ledger", 2);
    let line = "audit late.zip --trust test.trust --withheld test.trust";
    desk.refused("hospital", line, "lodged/malformed", 2);
}

/// A donor's proof holds, and hides that the charity's key was revoked; a log shows the entry.
#[test]
fn a_proof_that_hides_an_entry_is_held_against_a_log() {
    use giftproof::model::entry::{Entry, Header};
    use giftproof::model::proof_file::About;

    use super::seals::{revocation, story};
    use crate::proofs::{prove, seal, trust};

    let mut world = story();
    let gift = world.state.gifts.iter().next().unwrap().id;
    let honest = {
        let mut world = story();
        seal(&mut world);
        (prove(&world, About::Gift(gift)).to_bytes(), Forge::of(&world).files().zip())
    };
    let event = sign(&revocation(&world, "red-cross"), &world.state.genesis);
    let subjects = event.clone().open(&world.state.genesis).unwrap().subjects(None);
    let header = Header {
        index: world.state.size,
        previous: world.state.last_leaf,
        recorded_at: world.now,
        links: world.state.links(&subjects).unwrap(),
    };
    let hidden = Entry { header, event };
    world.state.advance_by_hash(hidden.header.index, world.now, hidden.leaf(), &[]);
    world.log.entries.push(hidden);
    seal(&mut world);

    let desk = Desk::with_ledger();
    let folder = desk.path("hospital");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("test.trust", trust(&world).to_string().as_bytes());
    write("gift.proof", &prove(&world, About::Gift(gift)).to_bytes());
    write("log.zip", &Forge::of(&world).files().zip());
    write("honest.proof", &honest.0);
    write("honest.zip", &honest.1);
    desk.run("hospital", "compare honest.proof honest.zip --trust test.trust");
    desk.run("hospital", "verify gift.proof --trust test.trust");
    let line = "compare gift.proof log.zip --trust test.trust --out hidden.fraud --json";
    let output = desk.command("hospital", &crate::cli::words(line)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["accusation"]["deed"], "false-seal");
    assert_eq!(answer["accusation"]["subject"], "party red-cross");
    let proof = fs::read(folder.join("hidden.fraud")).unwrap();
    assert!(Fraud::parse(&proof).unwrap().check(&trust(&world)).is_ok());
}
