//! Every command that records an event, in one story; the books are kept by hand beside it.

use giftproof::ledger::Ledger;
use giftproof::model::state::Whereabouts;

use crate::cli::Desk;

/// What a gift's accounts hold, without those that are empty, smallest first.
fn quantities(desk: &Desk, gift: &str) -> Vec<u64> {
    let ledger = Ledger::open(&desk.ledger()).unwrap();
    let gift = ledger.state().gift_by_id(&gift.parse().unwrap()).unwrap();
    // Opened packs stand in the books as the pieces that were in them.
    let kept = gift.accounts.iter().filter(|(a, _)| !matches!(a.place, Whereabouts::Opened { .. }));
    let mut quantities: Vec<u64> = kept.map(|(_, quantity)| quantity).collect();
    quantities.retain(|quantity| *quantity > 0);
    quantities.sort();
    quantities
}

#[test]
fn every_command_has_its_place_in_a_story_that_audits_clean() {
    let desk = Desk::with_ledger();
    tell(&desk);

    // An auditor with the bundle and the trust file of the first day finds nothing wrong.
    desk.run("office", "export ledger.zip");
    let audited = desk.json("office", "audit ledger.zip --trust ledger/giftproof.trust");
    assert_eq!(audited["outcome"], "clean", "{audited}");
    assert_eq!(audited["size"], desk.size());
}

/// Tells the story in a ledger. The operator's key is `operator-2.key` afterwards.
pub fn tell(desk: &Desk) {
    let registrars = "--key ../office/registry-a.key --key ../office/registry-b.key";
    for name in ["hospital-b", "headquarters", "maker", "factory", "express", "new", "registry-c"] {
        desk.run("charity", &format!("key new {name}.key --unencrypted"));
    }
    for (party, role) in
        [("hospital-b", "recipient"), ("headquarters", "coordinator"), ("maker", "maker")]
    {
        let enroll = format!("party enroll {party} --name {party} --role {role} --key {party}.key");
        desk.run("charity", &format!("{enroll} {registrars}"));
    }
    // Donors and carriers are admitted by the operator, whose key is at hand.
    desk.run("charity", "party enroll factory --name F --role donor --key factory.key");
    desk.run("charity", "party enroll express --name E --role carrier --key express.key");

    // Pooled stock, designated by the holder, changed, and ordered by headquarters.
    let donate = "donate --item masks --quantity 1000 --unit piece --lot L-7@2027-01-01";
    let masks = desk.json("charity", &format!("{donate} --key red-cross.key"));
    let masks = masks["gift"].as_str().unwrap();
    for line in [
        format!("designate --to hospital-a --gift {masks}=300 --key red-cross.key"),
        format!(
            "designate --to hospital-b --gift {masks}=100 --for hospital-a --key red-cross.key"
        ),
        "order HQ-7 --holder red-cross --item masks --unit piece --quantity 200 --to hospital-b \
         --key headquarters.key"
            .to_owned(),
        "designate --order HQ-7 --key red-cross.key".to_owned(),
    ] {
        desk.run("charity", &line);
    }
    // By hand: 200 for hospital-a, 100 + 200 for hospital-b, 500 for nobody yet.
    assert_eq!(quantities(desk, masks), [200, 300, 500]);

    // Announced by an enrolled donor, partly withdrawn, carried by a carrier that signs.
    let announce = "donate --item gowns --quantity 10 --unit box --for hospital-a \
                    --donor factory --taker red-cross --key factory.key";
    let gowns = desk.json("charity", announce);
    let gowns = gowns["gift"].as_str().unwrap();
    for line in [
        format!("withdraw --gift {gowns}=2 --key factory.key"),
        format!(
            "dispatch D-1 --to red-cross --purpose transfer --all-of {gowns} --carrier express \
             --key factory.key --key express.key"
        ),
        "deliver factory/D-1 --place Gate --key express.key".to_owned(),
        "receive factory/D-1 --all-accepted --key red-cross.key".to_owned(),
        format!("count --gift {gowns} --opened 2 --loose '398 piece' --key red-cross.key"),
    ] {
        desk.run("charity", &line);
    }
    // By hand: 2 withdrawn, 8 came, 2 of them opened into 398 pieces.
    assert_eq!(quantities(desk, gowns), [2, 6, 398]);

    // Stock: pending goods inspected, held, released, missed, found, destroyed.
    let receipt = {
        let dispatch = "dispatch S-1 --to warehouse --key red-cross.key --for hospital-b";
        desk.run("charity", &format!("{dispatch} --gift {masks}=300"));
        let receive = "receive red-cross/S-1 --except '1: pending 20' --key warehouse.key";
        desk.json("charity", receive)["index"].clone()
    };
    // The clerk miscounted; the receipt is put right, and what was pending stays the same.
    let correct = format!("correct {receipt} --row '1: accepted 275, pending 20, damaged 5'");
    desk.run("charity", &format!("{correct} --reason quantity --key warehouse.key"));
    for (command, options) in [
        ("count", "--passed 15 --failed 5"),
        ("hold", "--cause quarantine --quantity 50"),
        ("release", "--quantity 50"),
        ("count", "--shortage 3"),
        ("count", "--found 2"),
        ("dispose", "--fate destroyed --condition damaged --quantity 10"),
    ] {
        desk.run("charity", &format!("{command} --gift {masks} {options} --key warehouse.key"));
    }
    // By hand: 275 + 15 - 3 + 2 = 289 good, 1 missing, 5 + 5 destroyed; 200 and 500 at the charity.
    assert_eq!(quantities(desk, masks), [1, 10, 200, 289, 500]);

    // Hand to hand; disputed, answered, closed; recalled; attested; used by mistake, and voided.
    std::fs::write(desk.path("charity").join("scan.txt"), "a stamped receipt").unwrap();
    for line in [
        format!(
            "receive --from red-cross --gift {masks}=200 --for hospital-a --key red-cross.key \
             --key ../hospital/hospital-a.key"
        ),
        format!(
            "dispute {masks} --claim quantity --text 'only 199' --key ../hospital/hospital-a.key"
        ),
        format!("answer {masks} --text 'count again' --key red-cross.key"),
        format!("close-dispute {masks} --text 'it is 200' --key ../hospital/hospital-a.key"),
        "recall --item masks --lot L-7 --number R-1 --key maker.key".to_owned(),
        "lift-recall R-1 --key maker.key".to_owned(),
        format!(
            "attest --kind paper-receipt --document paper-receipt:7:scan.txt --held-by red-cross \
             --gift {masks}=10 --for hospital-a --key red-cross.key"
        ),
        format!(
            "correct {masks} --line 1 --item 'KN95 masks' --reason description --key red-cross.key"
        ),
    ] {
        desk.run("charity", &line);
    }
    let mistake = format!("use --gift {masks}=5 --key ../hospital/hospital-a.key");
    let mistake = desk.json("charity", &mistake)["index"].clone();
    desk.run(
        "charity",
        &format!("correct {mistake} --void --reason typing --key ../hospital/hospital-a.key"),
    );
    assert_eq!(quantities(desk, masks), [1, 10, 200, 289, 500]);

    // Keys, particulars, registrars, the operator.
    for line in [
        format!("party add-key warehouse --key new.key {registrars}"),
        "party revoke warehouse --public-key warehouse.pub --key warehouse.key".to_owned(),
        "party compromised warehouse --since 2026-01-01 --public-key warehouse.pub --key new.key"
            .to_owned(),
        format!("party update warehouse --name 'New name' {registrars}"),
        format!(
            "registrars change --add registry-c:C:registry-c.pub --key registry-c.key {registrars}"
        ),
        "need declare --item masks --quantity 5 --unit piece --key hospital-b.key".to_owned(),
    ] {
        desk.run("charity", &line);
    }
    let need = desk.json("charity", "need list")[0]["event"].as_str().unwrap().to_owned();
    desk.run("charity", &format!("need close {need} --key hospital-b.key"));
    assert_eq!(desk.json("charity", "need list").as_array().unwrap().len(), 0);

    // A lost key is replaced on the registrars' word, a known one on its own.
    desk.run("charity", "key new found.key --unencrypted");
    desk.run("charity", &format!("party rotate hospital-b --lost --key found.key {registrars}"));
    desk.run("charity", "key new next.key --unencrypted");
    desk.run("charity", "party rotate hospital-b --key found.key --key next.key");

    desk.run("office", "key new operator-2.key --unencrypted");
    desk.run(
        "office",
        "operator rotate --new-key operator-2.key --key registry-a.key --key registry-b.key",
    );
    desk.refused(
        "office",
        "need declare --item a --key operator.key",
        "ledger/wrong-operator-key",
        2,
    );
}
