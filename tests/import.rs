//! Published lists, imported: the counts that can be taken from the lists themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use giftproof::import::*;
use giftproof::model::date::UnixMs;
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::*;
use giftproof::model::hash::LeafHash;
use giftproof::model::ident::Handle;
use giftproof::model::state::{Gift, History, Recorded, State};

use crate::util::*;

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Plans a list by a map of the fixtures.
fn planned(folder: &str, list: &[u8], map: &str) -> Plan {
    let map = String::from_utf8(fixture(&format!("{folder}/{map}"))).unwrap();
    let read = |file: &str| Ok::<_, ImportError>(fixture(&format!("{folder}/{file}")));
    plan(list, &Map::read(&map).unwrap(), read).unwrap()
}

/// Signs a plan for the world's ledger, with keys made for it.
fn signed(plan: &Plan, world: &World) -> Vec<SignedEvent> {
    let made = |handle: &Handle| (handle.clone(), secret(handle.as_str()));
    let keys = Keyring {
        parties: plan.parties.keys().map(made).collect(),
        registrars: REGISTRARS[..2].iter().map(|name| (handle(name), secret(name))).collect(),
    };
    let genesis = world.state.genesis;
    let signing = Signing { genesis, keys: &keys, signed_at: world.now };
    signing.sign(plan, &world.state).unwrap()
}

fn accepted(world: &World, events: &[SignedEvent]) -> State {
    match rehearse(&world.state, events, world.now).unwrap() {
        Rehearsed::Accepted(state) => *state,
        Rehearsed::Refused { at, violation } => panic!("event {at}: {violation}"),
    }
}

/// The shipments that arrived after the gift's own deadline.
fn late<'a>(state: &'a State, gift: &'a Gift) -> impl Iterator<Item = String> + 'a {
    let late = |id: &&_| {
        let arrived = state.shipments.get(id).unwrap().arrived().unwrap();
        gift.donation.deadline.is_some_and(|deadline| arrived.day() > deadline)
    };
    gift.shipments.iter().filter(late).map(|id| id.to_string())
}

fn late_gifts_and_shipments(state: &State) -> (usize, usize) {
    let late: Vec<Vec<String>> =
        state.gifts.iter().map(|gift| late(state, &gift).collect()).collect();
    let gifts = late.iter().filter(|shipments| !shipments.is_empty()).count();
    (gifts, late.into_iter().flatten().collect::<BTreeSet<_>>().len())
}

#[test]
fn scms_deliveries_are_gifts_with_their_journeys() {
    let list = fixture("scms-deliveries/deliveries.csv");
    let plan = planned("scms-deliveries", &list, "deliveries.toml");
    assert_eq!((plan.row_count, plan.refused.len()), (10_324, 0), "{:?}", plan.refused.first());
    assert_eq!((plan.gift_count(), plan.shipment_count()), (10_324, 7_030));
    // 43 countries, and the project itself.
    assert_eq!(plan.parties.len(), 44);

    let world = World::bare();
    let events = signed(&plan, &world);
    let mut kinds: BTreeMap<u16, usize> = BTreeMap::new();
    for event in &events {
        *kinds.entry(event.frame.kind).or_default() += 1;
    }
    let counts =
        [Kind::PartyEnrolled, Kind::Donation, Kind::Dispatch, Kind::Delivery, Kind::Receipt]
            .map(|kind| kinds[&(kind as u16)]);
    assert_eq!(counts, [44, 10_324, 7_030, 7_030, 7_030]);
    // And the attestation of which list it was.
    assert_eq!(events.len(), 44 + 1 + 31_414);

    let state = accepted(&world, &events);
    assert_eq!((state.gifts.len(), state.shipments.len()), (10_324, 7_030));
    assert_eq!(late_gifts_and_shipments(&state), (1_186, 805));
    // What two million such gifts need on a shelf is less than a gigabyte.
    let lens = state.gifts.records().map(|record| record.unwrap().1.len());
    let len = lens.sum::<usize>() / 10_324;
    assert!(len <= 450, "a gift takes {len} bytes");
    let early = |shipment: Arc<giftproof::model::state::Shipment>| {
        shipment.receipts_before_delivery().len()
    };
    assert_eq!(state.shipments.iter().map(early).sum::<usize>(), 3);
    // The names of recipients say that they are countries.
    let party = state.parties.get(&handle("country-cote-d-ivoire")).unwrap();
    assert_eq!(party.particulars.name.as_str(), "Côte d'Ivoire (recipient country)");
    // Signing is now; only what happened is dated back.
    for gift in state.gifts.iter() {
        assert!(gift.donation.historic && gift.late.is_empty());
    }

    // Two years later than scheduled, instead of on time: one gift more.
    let text = String::from_utf8(list).unwrap();
    let on_time = "1,SCMS-4,ASN-8,Côte d'Ivoire,PMO - US,Direct Drop,EXW,Air,2006-06-02,2006-06-02";
    assert_eq!(text.matches(on_time).count(), 1);
    let moved =
        text.replace(on_time, &on_time.replace("2006-06-02,2006-06-02", "2006-06-02,2008-06-02"));
    let plan = planned("scms-deliveries", moved.as_bytes(), "deliveries.toml");
    let state = accepted(&world, &signed(&plan, &world));
    assert_eq!(late_gifts_and_shipments(&state), (1_187, 806));
}

#[test]
fn received_lines_become_gifts_and_nine_rows_are_refused() {
    let list = fixture("wuhan-2020/received.csv");
    let plan = planned("wuhan-2020", &list, "received.toml");
    assert_eq!((plan.row_count, plan.mapped_count(), plan.gift_count()), (2_913, 2_904, 888));
    let refused: Vec<(&str, &str)> =
        plan.refused.iter().map(|row| (row.reference.as_str(), row.code)).collect();
    let expected = [
        "WH-R-0124-0128:119",
        "WH-R-0124-0128:131",
        "WH-R-0124-0128:134",
        "WH-R-6-2:254",
        "WH-R-6-2:305",
        "WH-R-6-2:309",
        "WH-R-6-2:311",
        "WH-R-6-2:388",
        "WH-R-6-2:390",
    ];
    assert_eq!(refused, expected.map(|row| (row, "import/no-quantity")));

    let world = World::bare();
    let state = accepted(&world, &signed(&plan, &world));
    let restating = |gift: &Arc<Gift>| !gift.donation.restates.is_empty();
    assert_eq!(state.gifts.iter().filter(restating).count(), 91);
    let lines: usize = state.gifts.iter().map(|gift| gift.donation.lines.len()).sum();
    assert_eq!(lines, 2_904);
    // WH-R-0129-0203:40, whose specification stands in the other list.
    let gifts: Vec<Arc<Gift>> = state.gifts.iter().collect();
    let masks = gifts.iter().flat_map(|gift| &gift.donation.lines);
    let masks: Vec<&Line> =
        masks.filter(|line| line.item.as_str() == "口罩（定向捐赠江夏红十字）").collect();
    assert_eq!((masks.len(), masks[0].quantity), (1, 100));
    assert_eq!(masks[0].specification.as_str(), "2000个/箱");
}

#[test]
fn distributed_lines_are_listed_and_linked_to_no_gift() {
    let list = fixture("wuhan-2020/distributed.csv");
    let plan = planned("wuhan-2020", &list, "distributed.toml");
    assert_eq!((plan.row_count, plan.refused.len()), (469, 0), "{:?}", plan.refused.first());
    // Notices and recipients, paired.
    assert_eq!(plan.publication_count(), 38);
    let world = World::bare();
    let state = accepted(&world, &signed(&plan, &world));
    assert_eq!((state.gifts.len(), state.publications.len()), (0, 1 + 38));
}

const HEADER: &str = "id,asn_dn,po,country,vendor,scheduled_date,delivered_date,recorded_date,item,\
                      sub_class,quantity,dosage_form,manufacturing_site,unit_per_pack,\
                      line_value_usd\n";

fn small(rows: &[&str]) -> Plan {
    let list = HEADER.to_owned() + &rows.join("\n");
    planned("scms-deliveries", list.as_bytes(), "deliveries.toml")
}

#[test]
fn a_row_is_refused_by_name_and_reason_and_the_others_stay() {
    let good = "1,A,P,Mali,V,2020-01-02,2020-01-01,2020-01-01,x,s,5,f,m,10,2.5";
    let row = |change: (&str, &str)| good.replace("1,A,", "2,B,").replacen(change.0, change.1, 1);
    let cases = [
        (",x,s,5,", ",x,s,,", "import/no-quantity"),
        (",x,s,5,", ",x,s,0,", "quantity/zero"),
        (",x,s,5,", ",x,s,5.5,", "import/no-whole-number"),
        (",x,s,5,", ",x,s,2000000000000000,", "quantity/too-large"),
        (",x,s,5,", ",,s,5,", "line/no-item"),
        (",x,s,5,", ",x\u{202e},s,5,", "text/bidirectional"),
        (",10,2.5", ",10,2.555", "import/no-amount"),
        (",10,2.5", ",10", "import/cells"),
        ("2020-01-02", "2020-02-30", "date/malformed"),
        // Another recipient, another day: not the same shipment, nor the same gift.
        ("2,B,P,Mali", "2,A,P,Togo", "import/shipment-differs"),
        (
            "2,B,P,Mali,V,2020-01-02,2020-01-01",
            "2,A,P,Mali,V,2020-01-02,2020-01-03",
            "import/shipment-differs",
        ),
        ("2,B,P,Mali,V,2020-01-02", "1,B,P,Mali,V,2020-01-03", "import/gift-differs"),
    ];
    for (from, to, code) in cases {
        let plan = small(&[good, &row((from, to))]);
        let refused: Vec<&str> = plan.refused.iter().map(|row| row.code).collect();
        assert_eq!(refused, [code], "{from} -> {to}");
        assert_eq!(plan.refused[0].line, 3);
        assert_eq!((plan.mapped_count(), plan.gift_count()), (1, 1));
    }
    let csv = String::from_utf8(to_csv(&small(&[good, &row((",x,s,5,", ",x,s,,"))]).refused));
    assert_eq!(csv.unwrap(), "line,reference,code,field,found\n3,2,import/no-quantity,quantity,\n");
}

#[test]
fn what_the_rules_refuse_is_found_before_anything_is_written() {
    let good = "1,A,P,Mali,V,2020-01-02,2020-01-01,2020-01-01,x,s,5,f,m,10,2.5";
    let plan = small(&[good]);
    let mut world = World::bare();
    let events = signed(&plan, &world);
    // The recipient's key is somebody else's already: its enrolment cannot be accepted.
    world.enrol("country-mali", Role::Warehouse, 2);
    let before = world.state.clone();
    let rehearsed = rehearse(&world.state, &events, UnixMs(world.now.0 + 1)).unwrap();
    let Rehearsed::Refused { at, violation } = rehearsed else { panic!("accepted") };
    assert_eq!((at, violation.code.as_str()), (0, "party/exists"));
    assert_eq!(world.state, before);
}

/// A log of these events after entry 0.
struct Events<'a> {
    genesis: LeafHash,
    events: &'a [SignedEvent],
}

impl History for Events<'_> {
    fn event(&self, index: u64) -> Option<Recorded> {
        let event = self.events.get(usize::try_from(index.checked_sub(1)?).unwrap())?;
        let event = event.clone().open(&self.genesis).unwrap();
        Some(Recorded { index, recorded_at: UnixMs(START_MS), event })
    }

    fn leaf(&self, _: u64) -> Option<LeafHash> {
        None
    }
}

/// As after a crash in the middle: signed again, what is in the log is the same events.
#[test]
fn an_import_that_was_cut_short_can_be_completed() {
    let rows = [
        "1,A,P,Mali,V,2020-01-02,2020-01-01,2020-01-01,x,s,5,f,m,10,2.5",
        "2,B,P,Togo,V,2020-01-02,2020-01-01,2020-01-01,x,s,5,f,m,10,2.5",
    ];
    let plan = small(&rows);
    let world = World::bare();
    let events = signed(&plan, &world);
    let whole = accepted(&world, &events);
    for cut in 0..=events.len() {
        let mut world = World::bare();
        world.state = accepted(&world, &events[..cut]);
        let genesis = world.state.genesis;
        let mut again = signed(&plan, &world);
        let log = Events { genesis, events: &events[..cut] };
        let is_new =
            |event: &SignedEvent| world.state.index_of(&event.frame.hash(&genesis), &log).is_none();
        again.retain(is_new);
        assert_eq!(again, events[cut..], "{cut}");
        assert_eq!(accepted(&world, &again).gifts, whole.gifts);
    }
}

#[test]
fn every_signature_of_an_import_is_valid() {
    use giftproof::model::key::PublicKey;
    use giftproof::model::signature::{Signature, verify};
    let good = "1,A,P,Mali,V,2020-01-02,2020-01-01,2020-01-01,x,s,5,f,m,10,2.5";
    let world = World::bare();
    let events = signed(&small(&[good]), &world);
    // Two enrolments, which list, donation, dispatch, delivery, receipt.
    assert_eq!(events.len(), 7);
    for event in events {
        let message = event.frame.signing_message(&world.state.genesis);
        let (head, _) = event.frame.open().unwrap();
        for (signer, signature) in head.signers.iter().zip(&event.signatures) {
            let key = PublicKey::from_bytes(signer.key.as_bytes()).unwrap();
            verify(&message, &key, &Signature::from_bytes(*signature)).unwrap();
        }
    }
}

/// The whole way: through the writer, out as a bundle, and what the audit of that alone reports.
#[test]
fn the_audit_of_the_exported_deliveries_counts_what_came_late() {
    use giftproof::bundle::{Existing, OpenedBundle};
    use giftproof::model::checkpoint::SignedCheckpoint;
    use giftproof::model::verdict::{AsOf, Headline, LateClock, Summary};
    use giftproof::store::MemoryStore;
    use giftproof::verify::{Options, Outcome, audit};
    use giftproof::writer::{Clock, ManualClock, Writer};
    use std::sync::Arc;

    let list = fixture("scms-deliveries/deliveries.csv");
    let plan = planned("scms-deliveries", &list, "deliveries.toml");
    let world = World::bare();
    let events = signed(&plan, &world);
    let genesis = world.log.entries[0].event.clone();
    let clock = Clock::Manual(ManualClock::new(UnixMs(START_MS)));
    let store = Arc::new(MemoryStore::new());
    let writer = Writer::create_over(store, None, genesis, secret("operator"), clock).unwrap();
    for answer in writer.submit_many(events) {
        answer.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("bundle.zip");
    let export = |ledger: &giftproof::ledger::Ledger| {
        ledger.export(&out, None, None, Existing::Refuse, &mut |_, _| {}).unwrap();
        ledger.trust().unwrap()
    };
    let trust = writer.with_ledger(export);
    writer.close().unwrap();

    let opened = OpenedBundle::open(&out).unwrap();
    let checkpoint = SignedCheckpoint::parse(opened.checkpoint()).unwrap();
    let bundle = opened.with_size(checkpoint.checkpoint().size).unwrap();
    let report = audit(&bundle, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Clean);
    assert_eq!(report.entries, 1 + 44 + 1 + 31_414);
    let state = report.state.unwrap();
    let summary = Summary::of(&state, AsOf::last_entry(&state));
    assert_eq!(summary.by_headline, BTreeMap::from([(Headline::ReceivedInFull, 10_324)]));
    let deadline = &summary.by_clock[&LateClock::Deadline];
    assert_eq!((deadline.late, deadline.shipments, deadline.overdue), (1_186, 805, 0));
    assert_eq!(summary.receipts_before_delivery, 3);
}

/// The real binary: a ledger, its keys, and a list, in a folder of their own.
#[test]
fn the_command_imports_as_a_whole_and_once() {
    use assert_cmd::Command;
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("giftproof").unwrap();
        command.current_dir(dir.path()).args(arguments).arg("--lang=en").assert()
    };
    for name in ["operator", "a", "b", "c"] {
        run(&["key", "new", &format!("{name}.key"), "--unencrypted"]).success();
    }
    let mut init = vec!["init", "--ledger=l", "--operator-key=operator.key", "--operator=O"];
    init.extend(["--origin=ledger.example/import", "--registrar=reg-a:A:a.pub"]);
    init.extend(["--registrar=reg-b:B:b.pub", "--registrar=reg-c:C:c.pub"]);
    init.extend(["--registrar-key=a.key", "--registrar-key=b.key", "--registrar-key=c.key"]);
    run(&init).success();

    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/wuhan-2020");
    let (list, map) = (format!("{fixtures}/received.csv"), format!("{fixtures}/received.toml"));
    let mut import = vec!["import", &list, "--map", &map, "--ledger=l", "--unencrypted"];
    import.extend(["--operator-key=operator.key", "--registrar-key=a.key"]);
    let with = |more: &[&'static str]| [&import[..], more].concat();
    let size = || {
        let checkpoint = std::fs::read_to_string(dir.path().join("l/checkpoint")).unwrap();
        checkpoint.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let stderr = |assert: assert_cmd::assert::Assert| {
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    run(&with(&["--dry-run", "--report=rows.json"])).success();
    let report = std::fs::read(dir.path().join("rows.json")).unwrap();
    let report: Vec<serde_json::Value> = serde_json::from_slice(&report).unwrap();
    assert_eq!(report.len(), 9);
    assert!(stderr(run(&import).code(1)).contains("[import/rows-refused]"));
    assert_eq!(size(), 1);
    run(&with(&["--leave-out"])).success();
    // Entry 0, the charity, which list, 888 gifts.
    assert_eq!(size(), 1 + 1 + 1 + 888);
    assert!(dir.path().join("keys/wuhan-red-cross.key").exists());
    assert!(stderr(run(&with(&["--leave-out"])).code(1)).contains("[import/already]"));
    assert_eq!(size(), 891);
}
