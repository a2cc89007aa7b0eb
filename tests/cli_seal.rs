//! `giftproof seal`, and what `init` says of seals.

use giftproof::ledger::Ledger;
use giftproof::model::event::Rules;
use giftproof::model::seal::{Sort, TableRoot};
use serde_json::Value;

use crate::cli::Desk;

fn rules(desk: &Desk) -> Rules {
    Ledger::open(&desk.ledger()).unwrap().state().rules().clone()
}

#[test]
fn a_seal_is_made_shown_and_audited() {
    let desk = Desk::with_ledger();
    assert_eq!((rules(&desk).seal_entries, rules(&desk).seal_seconds), (65_536, 600));
    let before = desk.size();
    desk.donate();
    let sealed = desk.json("office", "seal");
    assert_eq!((&sealed["index"], &sealed["covers"]), (&(before + 1).into(), &(before + 1).into()));
    assert_eq!(sealed["already"], false);
    assert_eq!(desk.size(), before + 2);
    let rows = |sort: &str| sealed["tables"][sort]["rows"].as_u64().unwrap();
    assert_eq!(["parties", "gifts", "lots", "shipments", "statements"].map(rows), [3, 1, 0, 0, 0]);

    let again = desk.run("office", "seal");
    assert!(
        again.starts_with(&format!(
            "nothing has changed since the newest seal, entry {}",
            before + 1
        ))
    );
    assert!(desk.run("office", "seal --lang zh").contains("没有变化"));
    assert_eq!(desk.size(), before + 2);

    let ledger = Ledger::open(&desk.ledger()).unwrap();
    let table = ledger.state().table(Sort::Gifts).sealed().unwrap();
    let told: Value = sealed["tables"]["gifts"].clone();
    assert_eq!(table, TableRoot { rows: 1, hash: told["hash"].as_str().map(hash).unwrap() });
    drop(ledger);
    desk.run("office", "export all.zip --trust all.trust");
    let report = desk.json("office", "audit all.zip --trust all.trust");
    assert_eq!((&report["outcome"], &report["size"]), (&"clean".into(), &(before + 2).into()));
}

fn hash(hex: &str) -> giftproof::model::hash::NodeHash {
    hex.parse().unwrap()
}

#[test]
fn a_ledger_can_seal_often_or_never() {
    for (options, expected) in [
        ("--seal-entries 2 --seal-seconds 0", (2, 0)),
        ("--seal-entries 0 --seal-seconds 0", (0, 0)),
    ] {
        let desk = Desk::new();
        let registrars = "--registrar registry-a:A:registry-a.pub --registrar-key registry-a.key \
                          --registrar registry-b:B:registry-b.pub --registrar-key registry-b.key";
        desk.run(
            "office",
            &format!("init --origin ledger.example/test --operator Office {registrars} {options}"),
        );
        assert_eq!((rules(&desk).seal_entries, rules(&desk).seal_seconds), expected);
        for name in ["one", "two"] {
            desk.run("office", &format!("key new {name}.key --unencrypted"));
            let enroll = format!("party enroll {name} --role donor --name N --key {name}.key");
            desk.run("office", &enroll);
        }
        // Entry 0, a party, their seal, a party.
        assert_eq!(desk.size(), if expected.0 == 2 { 4 } else { 3 });
    }
}
