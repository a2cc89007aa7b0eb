//! `witness`, `trust`, `export` and `audit`, as people use them.

use std::fs;

use serde_json::Value;

use super::fake::{Fake, Identity, Reply};
use crate::cli::{Desk, words};

fn add(desk: &Desk, witness: &Fake) {
    let Identity { name, .. } = &witness.identity;
    let line = format!("witness add {name} {} {}", witness.identity.vkey(), witness.url());
    desk.run("office", &line);
}

#[test]
fn a_ledger_with_a_policy_is_witnessed_exported_and_audited() {
    let desk = Desk::with_ledger();
    let (one, two) = (Fake::new("one.example"), Fake::new("two.example"));
    add(&desk, &one);
    let early = desk.run("office", "trust early.trust");
    assert!(early.contains("early.trust"), "{early}");
    add(&desk, &two);
    let policy = desk.run("office", "witness quorum all");
    assert_eq!(policy.lines().last(), Some("quorum witnesses"));
    assert_eq!(policy, desk.run("office", "witness policy"));
    let trust = desk.run("office", "trust");
    assert!(trust.contains(&policy), "{trust}");
    assert!(
        fs::read_to_string(desk.path("office").join("early.trust"))
            .unwrap()
            .contains("one.example")
    );
    desk.run("office", "trust the.trust");
    desk.refused("office", "trust the.trust", "file/exists", 2);

    // A command that records an event tells programs who has cosigned.
    let donate = "donate --item N95 --quantity 5 --unit box --for hospital-a --key red-cross.key";
    let done = desk.json("charity", donate);
    let size = desk.size();
    for (witness, name) in done["witnesses"].as_array().unwrap().iter().zip(["one", "two"]) {
        assert_eq!(witness["name"], format!("{name}.example"));
        assert_eq!(witness["size"], size);
    }
    let exported = |name: &str, more: &str| {
        let out =
            desk.command("office", &words(&format!("export {name} {more}"))).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stderr).unwrap()
    };
    let audit = |name: &str| desk.json("office", &format!("audit {name} --trust the.trust"));
    assert_eq!(exported("all.zip", ""), "");
    let audited = audit("all.zip");
    assert_eq!(audited["outcome"], "clean", "{audited}");
    assert_eq!(audited["cosigned"].as_array().unwrap().len(), 2, "{audited}");
    let asked = (one.asked(), two.asked());
    let gift = done["gift"].as_str().unwrap();
    desk.run("office", &format!("lookup {gift} --proof gift.proof"));
    let verified = desk.json("office", "verify gift.proof --trust the.trust");
    assert_eq!(verified["outcome"], "verified", "{verified}");
    assert_eq!(verified["witnesses"].as_array().unwrap().len(), 2, "{verified}");

    // Without the second, whoever enforces the policy does not accept an export.
    two.then(Reply::Http(500, "", b"out of order\n".to_vec()));
    let out = desk.command("charity", &words(donate)).output().unwrap();
    assert!(out.status.success());
    let told = String::from_utf8(out.stderr).unwrap();
    assert!(told.contains("two.example") && told.contains("[witness/status]"), "{told}");
    two.then(Reply::Http(500, "", Vec::new()));
    let told = exported("part.zip", "");
    assert!(told.contains("two.example") && told.contains(&format!("--until {size}")), "{told}");
    let line = words("audit part.zip --trust the.trust --json");
    let out = desk.command("office", &line).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let audited: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(audited["failures"][0]["code"], "trust/policy");
    assert_eq!(audited["failure_count"], 1, "{audited}");
    // What was accepted before can still be had, without the operator's key.
    fs::rename(desk.path("office").join("operator.key"), desk.path("office").join("away")).unwrap();
    exported("until.zip", &format!("--until {size}"));
    let audited = audit("until.zip");
    assert_eq!((&audited["outcome"], &audited["size"]), (&"clean".into(), &size.into()));
    // Without asking, nobody is asked; with asking, all is well again.
    let before = (one.requests().len(), two.requests().len());
    exported("unasked.zip", "--no-witnesses");
    assert_eq!((one.requests().len(), two.requests().len()), before);
    assert!(before.0 > asked.0.len() && before.1 > asked.1.len());
    assert_eq!(exported("whole.zip", ""), "");
    assert_eq!(audit("whole.zip")["outcome"], "clean");
    let text = desk.run("office", "audit whole.zip --trust the.trust");
    assert!(text.contains("Cosigned by one.example at 2026-01-02 "), "{text}");
}

#[test]
fn the_list_shows_what_each_has_cosigned_and_why_not() {
    let desk = Desk::with_ledger();
    assert_eq!(desk.json("office", "witness list")["witnesses"].as_array().unwrap().len(), 0);
    let (one, two) = (Fake::new("one.example"), Fake::new("two.example"));
    add(&desk, &one);
    add(&desk, &two);
    desk.run("office", "witness quorum any");
    two.then(Reply::Http(404, "", b"unknown log\n".to_vec()));
    let text = desk.run("office", "witness ask");
    assert!(text.contains("[witness/unknown-log]"), "{text}");
    let list = desk.json("office", "witness list");
    let size = desk.size();
    assert_eq!(list["accepted"], size);
    let trust = desk.run("office", "trust");
    let operator = trust.lines().find_map(|line| line.strip_prefix("operator ")).unwrap();
    assert_eq!(list["log_key"], operator);
    let [first, second] = &list["witnesses"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&first["name"], &first["size"]), (&"one.example".into(), &size.into()));
    assert_eq!((&first["url"], &first["trouble"]), (&one.url().into(), &Value::Null));
    assert_eq!((&second["size"], &second["key"]), (&Value::Null, &two.identity.vkey().into()));
    assert_eq!(second["trouble"]["code"], "witness/unknown-log");
    let text = desk.run("office", "witness list --lang zh");
    assert!(
        text.contains("见证方不认识本账本：it does not know") && text.contains("unknown log"),
        "{text}"
    );

    // All must: then one that refuses is too few.
    desk.run("office", "witness quorum one.example two.example");
    two.then(Reply::Http(403, "", Vec::new()));
    let out = desk.command("office", &["witness", "ask"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let told = String::from_utf8(out.stderr).unwrap();
    assert!(told.contains("[witness/unsatisfied]"), "{told}");
    desk.run("office", "witness ask");
}

#[test]
fn mistakes_with_witnesses_are_refused_and_change_nothing() {
    let desk = Desk::with_ledger();
    let one = Fake::new("one.example");
    let refused = |line: &str, code: &str, exit: i32| {
        let policy = desk.run("office", "witness policy");
        desk.refused("office", line, code, exit);
        desk.refused("office", &format!("{line} --lang zh"), code, exit);
        assert_eq!(desk.run("office", "witness policy"), policy, "{line}");
    };
    refused("witness quorum all", "witness/none", 1);
    refused("witness ask", "witness/none", 1);
    add(&desk, &one);
    let vkey = |name: &str| Identity::new(name).vkey();
    let (own, other) = (one.identity.vkey(), vkey("other.example"));
    let trust = desk.run("office", "trust");
    let operator = trust.lines().find_map(|line| line.strip_prefix("operator ")).unwrap();
    refused(&format!("witness add w {own} https://w.example"), "witness/same-key", 1);
    refused(&format!("witness add one.example {other} https://w.example"), "witness/taken", 1);
    refused(&format!("witness add none {other} https://w.example"), "witness/taken", 1);
    refused(&format!("witness add 'a b' {other} https://w.example"), "witness/misspelt", 1);
    refused(&format!("witness add '' {other} https://w.example"), "witness/misspelt", 1);
    refused(&format!("witness add w {other} 'https://w.example quorum'"), "witness/misspelt", 1);
    refused(&format!("witness add w {other} ''"), "witness/misspelt", 1);
    for url in ["w.example", "ftp://w.example", "https://", "https:///w"] {
        refused(&format!("witness add w {other} {url}"), "witness/url", 2);
    }
    refused("witness add w x https://w.example", "witness/not-a-key", 2);
    let wrong_id = other.replacen(&other.split('+').nth(1).unwrap()[..4], "0000", 1);
    refused(&format!("witness add w {wrong_id} https://w.example"), "witness/not-a-key", 2);
    refused(&format!("witness add w {operator} https://w.example"), "witness/key-kind", 1);
    refused("witness remove two.example", "witness/unknown", 1);
    refused("witness quorum two.example", "witness/unknown", 1);
    refused("witness quorum 2", "witness/too-few", 1);
    refused("witness quorum 0", "witness/too-few", 1);
    refused("witness quorum", "usage/missing-argument", 2);
    refused("witness", "usage/which-command", 2);
    desk.run("office", "witness quorum 1");
    refused("witness remove one.example", "witness/needed", 1);

    // Whole policies.
    let office = desk.path("office");
    let file = |text: String| fs::write(office.join("policy"), text).unwrap();
    refused("witness policy nothing", "file/not-found", 2);
    file("quorum some\n".to_owned());
    refused("witness policy policy", "policy-file/malformed", 2);
    file("#".repeat(70_000));
    refused("witness policy policy", "file/too-large", 2);
    // The operator's key under the operator's name, made a cosigner's.
    let public = fs::read_to_string(office.join("operator.pub")).unwrap();
    let operator = cosigner("ledger.example/test", public.trim());
    file(format!("witness w {operator} https://w.example\nquorum w\n"));
    refused("witness policy policy", "witness/operator-key", 1);
    refused(&format!("witness add w {operator} https://w.example"), "witness/operator-key", 1);
    file(format!("# by hand\nwitness w {other}\ngroup g  1  w\nquorum g\n"));
    desk.run("office", "witness policy policy");
    desk.run("office", &format!("witness add v {} https://v.example", vkey("v.example")));
    refused("witness quorum all", "witness/policy", 1);
    let out = desk.command("office", &words("witness ask --json")).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["witnesses"][0]["error"]["code"], "witness/no-url");
    desk.run("office", "witness quorum none");
    desk.run("office", "witness remove w");
    desk.run("office", "witness remove v");
    assert_eq!(desk.run("office", "witness policy"), "quorum none\n");

    // A policy that was damaged by hand stops everything, with a way out.
    fs::write(desk.ledger().join("witnesses"), "quorum\n").unwrap();
    desk.refused("office", "list gifts", "ledger/policy", 2);
    desk.refused("office", "witness list", "ledger/policy", 2);
    fs::remove_file(desk.ledger().join("witnesses")).unwrap();
    desk.run("office", "list gifts");
}

#[test]
fn an_older_copy_is_told_by_the_name_of_the_witness_that_knows_better() {
    let desk = Desk::with_ledger();
    let one = Fake::new("one.example");
    add(&desk, &one);
    let size = desk.size();
    let ahead = format!("{}\n", size + 7).into_bytes();
    one.then(Reply::Http(409, "Content-Type: text/x.tlog.size\r\n", ahead));
    let line = "donate --item N95 --quantity 5 --unit box --for hospital-a --key red-cross.key";
    let told = desk.refused("charity", line, "ledger/behind-witness", 2);
    assert!(told.contains("one.example") && told.contains(&(size + 7).to_string()), "{told}");
}

/// A verifier key of type 04 of a public key in hex [C2SP signed-note].
fn cosigner(name: &str, public: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use sha2::{Digest, Sha256};
    let typed = [&[4][..], &hex::decode(public).unwrap()].concat();
    let id = Sha256::new().chain_update(name).chain_update([0x0a]).chain_update(&typed).finalize();
    format!("{name}+{}+{}", hex::encode(&id[..4]), BASE64_STANDARD.encode(&typed))
}
