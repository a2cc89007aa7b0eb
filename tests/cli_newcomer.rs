//! What a newcomer stumbles over: every slip is answered with what would have been right, and
//! what was recorded is never told as a failure.

use std::fs;

use serde_json::Value;

use crate::cli::{Desk, words};

/// Runs a command in a language that must end with this exit code; gives both outputs.
fn said(desk: &Desk, machine: &str, language: &str, line: &str, exit: i32) -> (String, String) {
    let mut command = desk.command(machine, &words(line));
    let output = command.args(["--lang", language]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{line}\n{told}");
    (String::from_utf8(output.stdout).unwrap(), told)
}

fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "'{part}' is not in\n{text}");
}

#[test]
fn a_shipment_file_that_cannot_be_written_refuses_the_dispatch() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    fs::write(desk.path("charity").join("there"), "kept").unwrap();
    let dispatch = format!("dispatch S-1 --to hospital-a --gift {gift}=5 --key red-cross.key");
    desk.refused("charity", &format!("{dispatch} --shipment-file there"), "file/exists", 2);
    assert_eq!(fs::read_to_string(desk.path("charity").join("there")).unwrap(), "kept");
    let size = desk.size();
    said(&desk, "charity", "en", &format!("{dispatch} --shipment-file none/out"), 2);
    assert_eq!(desk.size(), size);
    // A refused dispatch leaves nothing behind.
    let listed = || fs::read_dir(desk.path("charity")).unwrap().count();
    let before = listed();
    desk.refused(
        "charity",
        &format!(
            "dispatch S-1 --to nobody --gift {gift}=5 --key red-cross.key --shipment-file out"
        ),
        "party/unknown",
        1,
    );
    assert_eq!(listed(), before);
    desk.run("charity", &format!("{dispatch} --shipment-file out"));
    holds(&desk.run("charity", "shipment show --shipment-file out"), "5 个");
}

#[test]
fn named_registrars_are_never_replaced() {
    let desk = Desk::with_ledger();
    let enroll = "party enroll new-one --name N --role charity --key stranger.key --draft d.event";
    desk.refused("charity", &format!("{enroll} --registrar reg-z"), "registrar/unknown", 1);
    let (_, told) = said(&desk, "charity", "zh", &format!("{enroll} --registrar reg-z"), 1);
    holds(&told, "registry-a, registry-b");
    let answer = desk.json("charity", &format!("{enroll} --registrar registry-b"));
    assert_eq!(answer["unsigned"], serde_json::json!(["registry-b (registrar)"]));
}

#[test]
fn an_enrolment_that_lacks_registrars_says_how_it_is_completed() {
    let desk = Desk::with_ledger();
    let one = "--key ../office/registry-a.key";
    let enroll = format!("party enroll new-one --name N --role charity --key stranger.key {one}");
    let (_, told) = said(&desk, "charity", "en", &enroll, 0);
    holds(&told, "1 of 2 registrars vouch");
    holds(&told, "giftproof party update new-one");
    assert!(desk.run("office", "party show new-one").contains("provisional"));
    // What it says is what completes the enrolment.
    desk.run("charity", &format!("party update new-one {one} --key ../office/registry-b.key"));
    assert!(!desk.run("office", "party show new-one").contains("provisional"));

    // Whose a key is, if it is not new.
    let taken = format!("party enroll another --name A --role charity --key red-cross.key {one}");
    desk.refused("charity", &taken, "key/has-owner", 2);
    // Entry 0 is the ledger's; red-cross was enrolled next.
    holds(
        &said(&desk, "charity", "en", &taken, 2).1,
        "belongs to red-cross already, since entry 1",
    );
}

#[test]
fn a_receipt_is_shown_row_by_row_beside_what_was_sent() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    desk.run("charity", &format!(
        "dispatch S-1 --to hospital-a --gift {gift}=490 --key red-cross.key --shipment-file ../hospital/s"
    ));
    // A key of somebody else signs for nobody, even without the ledger.
    fs::copy(desk.path("charity").join("warehouse.key"), desk.path("hospital").join("w.key"))
        .unwrap();
    let receive = "receive --shipment-file s --except '1: damaged 3, short 10'";
    desk.refused("hospital", &format!("{receive} --key w.key --draft r"), "key/not-takers", 1);
    let drafted = desk.run("hospital", &format!("{receive} --key hospital-a.key --draft r"));
    holds(&drafted, "giftproof event submit r");
    let (shown, _) = said(&desk, "hospital", "en", "event show r", 0);
    let (signed, context) = shown.split_once("nobody signs these lines").unwrap();
    holds(signed, "accepted: 477");
    holds(signed, "damaged: 3");
    assert!(!signed.contains("rejected") && !signed.contains("N95"), "{signed}");
    holds(context, "row 1: N95口罩, 480 of 490 个 came; short: 10 of 490 sent");
    // With the ledger at hand, the draft carries the same along.
    let online = "receive hospital --key hospital-a.key".replace("hospital ", "red-cross/S-1 ");
    desk.run("hospital", &format!("{online} --all-accepted --draft whole"));
    holds(&desk.run("hospital", "event show whole"), "row 1: N95口罩, 490 of 490 个 came");

    desk.run("hospital", "event submit r");
    let index = desk.size() - 1;
    // Both the receipt that was drafted before, and a new one, are told of the first.
    desk.refused("hospital", "event submit whole", "shipment/received", 1);
    desk.refused("hospital", &format!("{online} --all-accepted"), "shipment/received", 1);
    let (_, told) = said(&desk, "hospital", "en", &format!("{online} --all-accepted"), 1);
    holds(&told, &format!("in entry {index}"));
    // What was short and came late is named, and is received all the same.
    desk.run("hospital", &format!("receive red-cross/S-1 --gift {gift}=1 --key hospital-a.key"));
}

#[test]
fn a_party_whose_key_was_added_later_signs_from_the_file() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    fs::copy(desk.path("charity").join("stranger.key"), desk.path("hospital").join("new.key"))
        .unwrap();
    desk.run("hospital", "party rotate hospital-a --key hospital-a.key --key new.key");
    desk.run("charity", &format!(
        "dispatch S-1 --to hospital-a --gift {gift}=5 --key red-cross.key --shipment-file ../hospital/s"
    ));
    let receive = "receive --shipment-file s --all-accepted --draft";
    desk.refused("hospital", &format!("{receive} a --key hospital-a.key"), "key/not-takers", 1);
    desk.run("hospital", &format!("{receive} b --key new.key"));
    desk.run("hospital", "event submit b");
}

#[test]
fn slips_in_items_units_and_keys_are_named() {
    let desk = Desk::with_ledger();
    desk.donate();
    let use_it = |item: &str, more: &str| format!("use --item {item} --quantity 1 {more}");
    let key = "--key red-cross.key";
    desk.refused("charity", &use_it("N95", key), "goods/no-such-item", 1);
    holds(&said(&desk, "charity", "en", &use_it("N95", key), 1).1, "there is: N95口罩 (个)");
    let unit = use_it("N95口罩", &format!("--unit 箱 {key}"));
    desk.refused("charity", &unit, "goods/no-such-unit", 1);
    desk.refused("charity", &use_it("N95口罩", ""), "signer/no-key-given", 1);
    let registrar = use_it("N95口罩", "--key ../office/registry-a.key");
    desk.refused("charity", &registrar, "signer/registrar", 1);
    desk.refused("charity", &use_it("N95口罩", "--key stranger.key"), "signer/nobody", 1);
    let large = "use --item N95口罩 --quantity 18446744073709551616 --key red-cross.key";
    desk.refused("charity", large, "quantity/too-large", 2);
}

#[test]
fn a_number_that_is_in_use_and_a_second_delivery_are_told() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    let dispatch = format!("dispatch S-1 --to hospital-a --gift {gift}=5 --key red-cross.key");
    let first = desk.json("charity", &dispatch)["index"].clone();
    let added = desk.run("charity", &dispatch);
    holds(&added, &format!("added to the open shipment red-cross/S-1 (entry {first})"));
    let deliver = "deliver red-cross/S-1 --key red-cross.key";
    assert_eq!(said(&desk, "charity", "en", deliver, 0).1, "");
    let index = desk.size() - 1;
    holds(&said(&desk, "charity", "en", deliver, 0).1, &format!("before, in entry {index}"));
}

#[test]
fn signers_are_named_in_one_way_and_told_what_comes_next() {
    let desk = Desk::with_ledger();
    let enroll = "party enroll new-one --name N --role charity --public-key stranger.pub";
    desk.run("charity", &format!("{enroll} --draft d.event"));
    let (signed, _) = said(&desk, "charity", "zh", "event sign d.event --key stranger.key", 0);
    let (shown, _) = said(&desk, "charity", "zh", "event show d.event", 0);
    holds(&signed, "new-one (新密钥)");
    holds(&shown, "new-one (新密钥)");
    holds(&signed, "registry-b (");
    let (_, told) = said(&desk, "charity", "zh", "event submit d.event", 1);
    holds(&told, "registry-b (");
    assert!(!told.contains("(registrar)"), "{told}");
    assert!(
        told.starts_with("giftproof: 错误: ") && told.contains("\ngiftproof: 提示: "),
        "{told}"
    );
    let last = "event sign d.event --key ../office/registry-a.key --key ../office/registry-b.key";
    holds(&desk.run("charity", last), "giftproof event submit d.event");
    // Programs read the words of the spec in either language.
    let (answer, _) = said(&desk, "charity", "zh", &format!("{last} --json"), 0);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["signed"][0], "registry-a (registrar)");
}

#[test]
fn what_is_allowed_is_listed_where_something_else_was_typed() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    let dispose = format!("dispose --gift {gift}=1 --key red-cross.key --fate");
    desk.refused("charity", &format!("{dispose} eaten"), "usage/not-a-choice", 2);
    let told = |language, line: &str| said(&desk, "charity", language, line, 2).1;
    holds(&told("en", &format!("{dispose} eaten")), "one of: lost, destroyed, expired, sold, lent");
    holds(&told("zh", &format!("{dispose} eaten")), "可选：lost");
    desk.refused("charity", "party enrol", "usage/not-a-command", 2);
    holds(&told("en", "party enrol"), "one of: enroll, add-key, ");
    holds(&told("en", "key"), "one of: new, show");
    let donate = "donate --item a --unit b --key red-cross.key";
    desk.refused("charity", &format!("{donate} --quantity -5"), "quantity/zero", 2);
    let day = |day: &str| format!("{donate} --quantity 5 --on {day}");
    desk.refused("charity", &day("2026-02-30"), "date/no-such-day", 2);
    desk.refused("charity", &day("30.02.2026"), "date/malformed", 2);
    desk.refused("charity", "key new none/x.key --unencrypted", "file/no-folder", 2);
}

#[test]
fn a_new_ledger_tells_of_its_trust_file_and_takes_only_its_registrars_keys() {
    let desk = Desk::with_ledger();
    let new = |more: &str| {
        format!(
            "init --ledger new --operator-key second.key --origin ledger.example/new \
             --operator Office --registrar registry-a:A:registry-a.pub \
             --registrar registry-b:B:registry-b.pub --registrar-key registry-a.key \
             --registrar-key registry-b.key {more}"
        )
    };
    desk.run("office", "key new second.key --unencrypted");
    let refused = |more: &str, code: &str, exit| {
        desk.refused("office", &new(more), code, exit);
        assert!(!desk.path("office").join("new").exists());
    };
    refused("--registrar-key ../charity/stranger.key", "registrar/other-key", 1);
    refused("--trust none/my.trust", "file/no-folder", 2);
    refused("--trust operator.key", "file/exists", 2);
    holds(&desk.run("office", &new("--trust my.trust")), "trust file written to my.trust");
    assert!(desk.path("office").join("my.trust").exists());
    desk.refused("office", "export out.zip --trust my.trust", "file/exists", 2);
    assert!(!desk.path("office").join("out.zip").exists());
}

#[test]
fn a_slip_says_what_it_is() {
    let desk = Desk::with_ledger();
    let donate = "donate --item masks --quantity 5 --unit piece --key red-cross.key";
    let slip = desk.run("charity", &format!("{donate} --slip slip.key"));
    let pem = fs::read_to_string(desk.path("charity").join("slip.key")).unwrap();
    holds(&slip, &format!("for the donor; keep it secret (also in slip.key):\n{}", pem.trim_end()));
    let (recorded, _) = said(&desk, "charity", "zh", donate, 0);
    holds(&recorded, &format!("已记入账本，第 {} 条", desk.size() - 1));
}
