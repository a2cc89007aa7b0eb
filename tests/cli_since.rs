//! A regulator that audits a second time, an auditor that signs, and a mirror: by the real binary.

use std::fs;

use giftproof::model::audited::SignedStatement;
use giftproof::model::trust::TrustFile;
use serde_json::Value;

use crate::cli::{Desk, words};

/// Runs what must exit with this code, and gives its answer.
fn answer(desk: &Desk, line: &str, exit: i32) -> Value {
    let output = desk.command("office", &words(&format!("{line} --json"))).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{line}\n{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An office with two bundles of one ledger, and a third that forks off after the first.
fn office_with_a_fork() -> Desk {
    let desk = Desk::with_ledger();
    desk.donate();
    desk.run("office", "export old.zip --trust my.trust");
    let office = desk.path("office");
    // The whole desk again, and the operator tells others another story with the same key.
    let fork = office.join("fork");
    crate::util::copy_folder(&desk.ledger(), &fork);
    fs::copy(office.join("operator.key"), office.join("copied.key")).unwrap();
    let as_forker = "--ledger fork --operator-key copied.key";
    let donate = "donate --item gowns --quantity 9 --unit box --key ../charity/red-cross.key";
    desk.run("office", &format!("{donate} {as_forker}"));
    desk.run("office", &format!("{donate} {as_forker}"));
    desk.run("office", &format!("export forked.zip {as_forker}"));
    desk.donate();
    desk.run("office", "export new.zip");
    desk
}

#[test]
fn a_second_audit_goes_on_from_the_first() {
    let desk = office_with_a_fork();
    let first = desk.json("office", "audit old.zip --trust my.trust --save-state one.state");
    assert_eq!((&first["state"], &first["since"]), (&"one.state".into(), &Value::Null));
    let hash = first["state_sha256"].as_str().unwrap();
    let since = format!("--trust my.trust --since one.state --state-hash {hash}");

    let second = desk.json("office", &format!("audit new.zip {since}"));
    let whole = desk.json("office", "audit new.zip --trust my.trust");
    let told = second["since"].clone();
    assert_eq!(told["size"], first["size"]);
    assert_eq!(told["resumed"], true);
    assert!(told["audited_on"].as_str().unwrap().starts_with("20"));
    for member in whole.as_object().unwrap().keys() {
        if !["seconds", "since"].contains(&member.as_str()) {
            assert_eq!(second[member], whole[member], "{member}");
        }
    }
    let page = desk.run("office", &format!("audit new.zip {since}"));
    assert!(page.contains("Goes on from the audit of 20"), "{page}");
    assert!(page.contains("Checked 1 new entries of 6"), "{page}");
    let page = desk.run("office", &format!("audit new.zip {since} --lang zh"));
    assert!(page.contains("接续 20"), "{page}");

    // Only the state that was pinned is believed.
    desk.refused("office", "audit new.zip --since one.state", "audit-state/unpinned", 2);
    let zero = "0".repeat(64);
    let wrong = format!("audit new.zip --since one.state --state-hash {zero}");
    desk.refused("office", &wrong, "audit-state/pinned", 2);
    let misread = format!("audit new.zip --since old.zip --state-hash {hash}");
    desk.refused("office", &misread, "audit-state/version", 2);
    let path = desk.path("office").join("one.state");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    desk.refused("office", &format!("audit new.zip {since}"), "audit-state/hash", 2);
    desk.refused("office", "audit new.zip --save-state one.state", "file/exists", 2);
}

#[test]
fn a_fork_shows_against_whatever_was_seen_before() {
    let desk = office_with_a_fork();
    let first = desk.json("office", "audit new.zip --save-state new.state");
    let hash = first["state_sha256"].as_str().unwrap();
    let checkpoint = desk.ledger().join("checkpoint");
    fs::copy(checkpoint, desk.path("office").join("seen")).unwrap();
    let seen = fs::read_to_string(desk.path("office").join("seen")).unwrap();
    for since in ["seen", "new.zip", "ledger", &format!("new.state --state-hash {hash}")] {
        let report = answer(&desk, &format!("audit forked.zip --since {since}"), 1);
        assert_eq!(report["failures"][0]["code"], "since/checkpoint", "{since}");
        assert_eq!(report["conflicts"][0]["seen"], seen.as_str());
        assert!(report["conflicts"][0]["found"].as_str().unwrap().contains("\n7\n"));
        let report = desk.json("office", &format!("audit new.zip --since {since}"));
        assert_eq!(report["outcome"], "clean");
    }
    // What both have in common fits both.
    for log in ["forked.zip", "new.zip"] {
        let page = desk.run("office", &format!("audit {log} --since old.zip"));
        assert!(page.contains("Extends the ledger of 5 entries that was seen before"), "{page}");
    }
    // An older copy is none that one goes on to.
    let report = answer(&desk, "audit old.zip --since seen", 1);
    assert_eq!(report["failures"][0]["expected"], 6);
    desk.refused("office", "audit old.zip --since my.trust", "checkpoint/extension", 2);
}

#[test]
fn an_auditor_signs_what_was_clean() {
    let desk = office_with_a_fork();
    let office = desk.path("office");
    desk.run("office", "key new auditor.key --unencrypted");
    let sign = "--statement clean.note --sign-key auditor.key --name audit.example/office";
    let report = desk.json("office", &format!("audit new.zip --trust my.trust {sign}"));
    let signed = SignedStatement::parse(&fs::read(office.join("clean.note")).unwrap()).unwrap();
    let statement = signed.statement();
    assert_eq!(statement.checkpoint.size, report["size"]);
    assert_eq!(statement.checkpoint.root.to_string(), report["root"].as_str().unwrap());
    assert_eq!(statement.differences, report["differences"]["with_differences"]);
    desk.refused("office", "verify clean.note --trust my.trust", "verify/unknown-auditor", 2);
    // The line that the answer tells makes it count.
    let line = format!("\nauditor {}\n\n", report["auditor"].as_str().unwrap());
    let trust = fs::read_to_string(office.join("my.trust")).unwrap().replacen("\n\n", &line, 1);
    assert_eq!(TrustFile::parse(trust.as_bytes()).unwrap().auditors().len(), 1);
    fs::write(office.join("our.trust"), trust).unwrap();
    let verified = desk.json("office", "verify clean.note --trust our.trust");
    assert_eq!(verified["auditors"][0], "audit.example/office");
    assert_eq!((&verified["size"], &verified["root"]), (&report["size"], &report["root"]));
    let page = desk.run("office", "verify clean.note --trust our.trust");
    assert!(page.contains("audit.example/office audited the ledger ledger.example/test"), "{page}");
    let text = fs::read_to_string(office.join("clean.note")).unwrap();
    fs::write(office.join("forged.note"), text.replacen("\n6\n", "\n7\n", 1)).unwrap();
    let forged = "verify forged.note --trust our.trust";
    desk.refused("office", forged, "note/signature-invalid", 1);

    // Nobody states what failed, what was not held against a trust file, or under another's key.
    let other = sign.replace("clean.note", "failed.note");
    answer(&desk, &format!("audit forked.zip --since new.zip --trust my.trust {other}"), 1);
    assert!(!office.join("failed.note").exists());
    desk.refused("office", &format!("audit new.zip {other}"), "usage/missing-argument", 2);
    let operator = other.replace("auditor.key", "operator.key");
    let line = format!("audit new.zip --trust my.trust {operator}");
    desk.refused("office", &line, "audit/auditor-key", 2);
    let nameless = other.replace("audit.example/office", "'an office'");
    let line = format!("audit new.zip --trust my.trust {nameless}");
    desk.refused("office", &line, "audit/auditor-name", 2);
    let taken = format!("audit new.zip --trust my.trust {sign}");
    desk.refused("office", &taken, "file/exists", 2);
}

#[test]
fn a_mirror_serves_donors_and_auditors() {
    let desk = office_with_a_fork();
    let gift = desk.donate();
    let mirror = "mirror old.zip copy --trust my.trust --once";
    assert_eq!(desk.json("office", mirror)["size"], 5);
    let taken = desk.json("office", "mirror ledger copy --once");
    assert_eq!((&taken["from"], &taken["size"]), (&5.into(), &7.into()));
    let page = desk.run("office", "mirror ledger copy --once");
    assert!(page.contains("nothing new, 7 entries"), "{page}");
    let report = desk.json("office", "audit copy --trust my.trust");
    assert_eq!((&report["outcome"], &report["size"]), (&"clean".into(), &7.into()));

    // The same answer from the ledger, the mirror and a bundle.
    desk.run("office", "export newest.zip");
    let ours = desk.json("office", &format!("lookup {gift}"));
    assert_eq!(ours["journey"].as_array().unwrap().len(), 1);
    for copy in ["copy", "newest.zip"] {
        assert_eq!(desk.json("office", &format!("lookup {gift} --ledger {copy}")), ours, "{copy}");
        let page = desk.run("office", &format!("lookup {gift} --ledger {copy}"));
        assert_eq!(page, desk.run("office", &format!("lookup {gift}")));
    }
    desk.refused("office", &format!("lookup {gift} --ledger new.zip"), "lookup/not-found", 1);

    // It does not follow the fork, and names whose it is.
    let told = desk.refused("office", "mirror forked.zip copy --once", "mirror/forked", 1);
    assert!(told.contains("the operator of ledger.example/test has signed two"), "{told}");
    let told = desk.refused("office", "mirror old.zip copy --once", "mirror/rolled-back", 1);
    assert!(told.contains("has 5 entries, the mirror 7"), "{told}");
    assert_eq!(fs::read_dir(desk.path("office").join("copy/evidence")).unwrap().count(), 2);
    // It waits for what is new, as long as it is let.
    let mut follower = desk.command("office", &words("mirror more.zip other --every 1 --quiet"));
    let mut follower = follower.stdout(std::process::Stdio::null()).spawn().unwrap();
    for size in [7, 8] {
        desk.run("office", "export more.zip --replace");
        let path = desk.path("office").join("other/checkpoint");
        let has = || fs::read_to_string(&path).is_ok_and(|c| c.contains(&format!("\n{size}\n")));
        let mut waited = 0;
        while !has() {
            assert!(waited < 600, "nothing was taken in a minute");
            std::thread::sleep(std::time::Duration::from_millis(100));
            waited += 1;
        }
        if size == 7 {
            desk.refused("office", "mirror old.zip other --once", "mirror/locked", 2);
            desk.donate();
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert_eq!(desk.json("office", "audit other")["size"], 8);
    desk.refused("office", "mirror new.zip ledger --once", "mirror/occupied", 2);
    desk.refused("office", "mirror nothing.zip copy --once", "file/not-found", 2);
}
