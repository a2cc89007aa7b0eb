//! The demonstration: its counts, that every headline and flag is seen, that every cheat is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use giftproof::cli::locales::Language;
use giftproof::demo::{Demo, Exported, Seed, cheats, journeys, published, scenes};
use giftproof::model::event::{Capacity, PartyKind, Role, Statement};
use giftproof::model::state::{Party, State};
use giftproof::model::verdict::{AsOf, Flag, Headline, LateClock, Proof, Verdict};
use giftproof::verify::{Outcome, Spot};

struct Run {
    published: published::Published,
    journeys: journeys::Journeys,
    scenes: Vec<scenes::Scene>,
    exported: Exported,
}

fn run(dir: &Path) -> Run {
    let mut demo = Demo::begin(dir, Seed::of_number(7)).unwrap();
    let published = demo.publish().unwrap();
    let journeys = demo.journeys().unwrap();
    let scenes = demo.scenes().unwrap();
    Run { published, journeys, scenes, exported: demo.export().unwrap() }
}

fn verdicts(state: &State) -> Vec<Verdict> {
    let as_of = AsOf::last_entry(state);
    state.gifts.iter().map(|gift| Verdict::of(state, &gift, as_of)).collect()
}

/// Flags with what distinguishes them: lateness by its clock.
fn flag_word(flag: &Flag) -> String {
    match flag {
        Flag::Late { clock, .. } | Flag::Overdue { clock, .. } => {
            format!("{} {}", flag.word(), clock.word())
        }
        flag => flag.word().to_owned(),
    }
}

#[test]
fn three_acts() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let state = run.exported.ledger.state();
    published_counts(&run.published);
    journeys_arrive(&run, state);
    invented_parties_alone_differ(state);
    everything_is_seen(state, &run.exported.cheat().unwrap());
    same_seed_same_bytes(&run.exported);
    scenes_are_what_they_say(&run, state);
}

/// The counts of fixtures/wuhan-2020 (README.md, cases.md), made by other means.
fn published_counts(published: &published::Published) {
    assert_eq!((published.received_lines, published.mapped_lines), (2_913, 2_904));
    assert_eq!((published.gifts, published.restating, published.linked), (888, 91, 0));
    assert_eq!(published.named, 17);
    assert_eq!((published.issued_lines, published.attestations), (469, 38));
    let continuation = published.refused.iter().filter(|row| row.is_continuation).count();
    assert_eq!((published.refused.len(), continuation), (9, 5));
    let compared = &published.compared;
    assert_eq!((compared.issued, compared.matched, compared.exceeded.len()), (117, 52, 15));
    assert_eq!(compared.issued - compared.matched, 65);
    assert_eq!(published.compared_without_restating.exceeded.len(), 16);
    let found = |item: &str, unit: &str| {
        let pair = compared.exceeded.iter().find(|pair| pair.item == item && pair.unit == unit);
        pair.map(|pair| (pair.received, pair.issued))
    };
    assert_eq!(found("检查手套", "箱"), Some((106, 435)));
    assert_eq!(found("84消毒液", "瓶"), Some((334, 2_400)));
    assert_eq!(found("榄菊全效亮白洗衣液", "箱"), Some((1_012, 2_024)));
    // Case 2, and no other pair.
    assert_eq!(published.duplicates.len(), 1);
    let duplicate = &published.duplicates[0];
    let mut donors = duplicate.donors.clone();
    donors.sort();
    assert_eq!(donors, ["中山榄菊世代实业有限公司", "中山榄菊销售有限公司"]);
    assert_eq!((duplicate.lines, duplicate.same), (12, 10));
}

fn journeys_arrive(run: &Run, state: &State) {
    let rows: Vec<u16> = run.journeys.gifts.iter().map(|journey| journey.row).collect();
    assert_eq!(rows, [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17]);
    let refused: Vec<u16> = run.journeys.refused.iter().map(|(row, _)| *row).collect();
    assert_eq!(refused, [8, 9]);
    assert_eq!((run.journeys.listed, run.journeys.unlisted), (2, 10));
    for journey in &run.journeys.gifts {
        let gift = &state.gifts.get(&journey.gift).unwrap();
        let verdict = Verdict::of(state, gift, AsOf::last_entry(state));
        assert_eq!(verdict.headline, Headline::ReceivedInFull, "row {}", journey.row);
        assert!(verdict.proven.iter().all(|proven| proven.proof == Proof::Vouched));
        assert!(!verdict.flags.iter().any(Flag::is_difference), "row {}", journey.row);
    }
    let before = &run.journeys.masks.before;
    assert_eq!(before.lines[0].item.as_str(), "N95口罩");
    assert_eq!((before.lines[0].donated, before.lines[0].designated), (36_000, 32_000));
    let corrected = &run.journeys.masks.corrected;
    assert_eq!(corrected.lines[0].item.as_str(), "KN95口罩");
    assert_eq!((corrected.lines[0].donated, corrected.lines[0].designated), (36_000, 36_000));
    assert!(corrected.recipients.iter().all(|recipient| recipient.designated == 18_000));
}

/// No real organisation has had to do with a gift that has a difference which was not published.
fn invented_parties_alone_differ(state: &State) {
    let invented = |party: &Party| party.particulars.name.as_str().contains("(invented 虚构)");
    for verdict in verdicts(state) {
        let gift = &state.gifts.get(&verdict.donation).unwrap();
        let published = gift.donation.historic;
        let other = |flag: &&Flag| !matches!(flag, Flag::SuspectedDuplicate { .. });
        if published {
            assert_eq!(verdict.headline, Headline::WaitingToBeAssigned);
            assert!(!verdict.flags.iter().filter(other).any(Flag::is_difference));
            continue;
        }
        let usual = verdict.headline == Headline::ReceivedInFull
            && !verdict.flags.iter().any(Flag::is_difference);
        if usual {
            continue;
        }
        assert!(gift.donation.purpose.as_str().contains("invented"), "{}", verdict.gift);
        for handle in &gift.journey {
            assert!(invented(state.parties.get(handle).unwrap()), "{handle}");
        }
    }
}

fn everything_is_seen(state: &State, cheats: &[cheats::Audited]) {
    let verdicts = verdicts(state);
    let mut headlines: BTreeSet<Headline> = verdicts.iter().map(|v| v.headline).collect();
    // What cannot happen in an honest ledger is seen in a forged one.
    let forged = cheats.iter().find(|audited| audited.word == "forged").unwrap();
    let forged = self::verdicts(forged.report.state.as_ref().unwrap());
    headlines.extend(forged.iter().map(|verdict| verdict.headline));
    let all: BTreeSet<Headline> = Headline::ALL.iter().copied().collect();
    assert_eq!(headlines, all);

    let flags: BTreeSet<String> = verdicts.iter().flat_map(|v| &v.flags).map(flag_word).collect();
    let mut expected: BTreeSet<String> = [
        "damaged",
        "short",
        "rejected",
        "surplus",
        "on-hold",
        "changed-with-consent",
        "changed-without-consent",
        "lowered",
        "corrected",
        "disputed",
        "recalled",
        "suspected-duplicate",
        "donor-only-recorded",
        "slip-not-taken-over",
        "recorded-by-recipient-alone",
        "key-compromised",
        "unsupported-receipt",
        "receipt-before-delivery",
        "unwitnessed",
        "overdue deadline",
        "overdue receipt",
    ]
    .map(str::to_owned)
    .into();
    let clocks =
        [LateClock::Deadline, LateClock::Disclosure, LateClock::Filing, LateClock::Receipt];
    expected.extend(clocks.map(|clock| format!("late {}", clock.word())));
    assert_eq!(flags, expected);

    let proofs: BTreeSet<&'static str> = verdicts
        .iter()
        .flat_map(|verdict| &verdict.proven)
        .map(|proven| match proven.proof {
            Proof::Vouched => "vouched",
            Proof::Recovered => "recovered",
            Proof::Provisional => "provisional",
            Proof::RecipientAlone => "alone",
            Proof::OtherUnit => "other",
            Proof::ArrivedUnfit => "unfit",
            Proof::Paper { .. } => "paper",
            Proof::ClaimedByOthers => "claimed",
            Proof::Nothing => "nothing",
        })
        .collect();
    assert_eq!(proofs.len(), 9, "{proofs:?}");
    cheats_are_found(cheats);
}

fn cheats_are_found(cheats: &[cheats::Audited]) {
    let mut found: BTreeMap<&str, Vec<(Option<u64>, &str)>> = BTreeMap::new();
    for audited in cheats {
        let clean = audited.word == "honest";
        let outcome = if clean { Outcome::Clean } else { Outcome::Failed };
        assert_eq!(audited.report.outcome(), outcome, "{}", audited.word);
        assert_eq!(audited.report.outcome().exit_code(), u8::from(!clean));
        let failures = audited.report.failures.first().iter().map(|failure| {
            let entry = match failure.at {
                Spot::Entry(index) => Some(index),
                Spot::File(_) => None,
            };
            (entry, failure.violation.code.as_str())
        });
        found.insert(audited.word, failures.collect());
    }
    let changed = |word: &str| cheats.iter().find(|audited| audited.word == word).unwrap().changed;
    // The byte is in a signed body: the entry itself fails, and the next one's link.
    let byte = changed("byte").unwrap();
    assert!(found["byte"].iter().any(|(entry, _)| *entry == Some(byte)), "{:?}", found["byte"]);
    assert_eq!(found["quantity"][0], (changed("quantity"), "signature/invalid"));
    // What rested on the dropped entry no longer holds, and the pinned checkpoint does not fit.
    let dropped: Vec<&str> = found["dropped"].iter().map(|(_, code)| *code).collect();
    assert_eq!(dropped, ["dispute/unknown", "trust/checkpoint"]);
    assert_eq!(found["dropped"][0].0, changed("dropped"));
    assert_eq!(found["forged"], [(changed("forged"), "key/not-of-party")]);
}

fn same_seed_same_bytes(exported: &Exported) {
    let dir = tempfile::tempdir().unwrap();
    let again = run(dir.path());
    let bytes = |exported: &Exported| std::fs::read(&exported.places.bundle).unwrap();
    assert!(bytes(exported) == bytes(&again.exported), "the same seed gave other bytes");
}

fn scenes_are_what_they_say(run: &Run, state: &State) {
    let verdict = |word: &str| {
        let scene = run.scenes.iter().find(|scene| scene.word == word).unwrap();
        Verdict::of(state, &state.gifts.get(&scene.gift).unwrap(), AsOf::last_entry(state))
    };
    let expected = [
        ("short-and-damaged", Headline::ReceivedWithDifferences),
        ("rejected", Headline::ReceivedInPart),
        ("wet-carton", Headline::BeingInspected),
        ("warehouse-short", Headline::ReceivedWithDifferences),
        ("surplus", Headline::ReceivedInFull),
        ("late", Headline::ReceivedInFull),
        ("early-receipt", Headline::ReceivedInFull),
        ("claimed", Headline::ClaimedNotSigned),
        ("paper", Headline::ClaimedNotSigned),
        ("overdue", Headline::OnTheWay),
        ("with-consent", Headline::ReceivedInFull),
        ("without-consent", Headline::WaitingToBeSent),
        ("announced", Headline::AnnouncedOnly),
        ("withdrawn", Headline::Withdrawn),
        ("lost", Headline::Lost),
        ("expired", Headline::DisposedOf),
        ("alone", Headline::RecordedByRecipientAlone),
        ("pooled", Headline::WaitingToBeAssigned),
        ("lowered", Headline::WaitingToBeAssigned),
        ("recalled", Headline::WaitingToBeSent),
        ("provisional", Headline::ReceivedInFull),
        ("recovered", Headline::ReceivedInFull),
        ("another-unit", Headline::ReachedAnotherUnit),
    ];
    assert_eq!(run.scenes.len(), expected.len());
    for (word, headline) in expected {
        let verdict = verdict(word);
        assert_eq!(verdict.headline, headline, "{word}");
        // The quantity that is told is the one in the ledger.
        let donated = verdict.total.unwrap().donated;
        for language in [Language::English, Language::Chinese] {
            let text = language.find(&format!("demo.scene.{word}")).unwrap().replace(',', "");
            let numbers = text.split(|character: char| !character.is_ascii_digit());
            let mut numbers = numbers.filter_map(|number| number.parse::<u64>().ok());
            assert!(numbers.any(|number| number == donated), "{word}: {donated}, {text}");
        }
    }
}

/// Two of three registrars stand under every recipient of the notice; no person is enrolled.
#[test]
fn recipients_are_vouched_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::begin(dir.path(), Seed::of_number(8)).unwrap();
    demo.journeys().unwrap();
    let exported = demo.export().unwrap();
    let ledger = &exported.ledger;
    let recipients = |party: &&Party| party.has(Role::Recipient);
    let state = ledger.state();
    assert_eq!(state.parties.iter().filter(recipients).count(), 12);
    for party in state.parties.iter() {
        assert_eq!(party.kind, PartyKind::Organisation);
        if !party.needs_vouching() {
            continue;
        }
        let event = ledger.entry(party.enrolled_at).unwrap().event;
        let (head, statement) = event.frame.open().unwrap();
        assert!(matches!(statement, Some(Statement::PartyEnrolled(_))));
        assert_eq!(head.signers_as(Capacity::Registrar).count(), 2, "{}", party.handle);
    }
}

#[test]
fn it_plays_in_an_empty_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "keep").unwrap();
    assert!(Demo::begin(dir.path(), Seed::of_number(1)).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// The real binary, in both languages; what it prints is what the acts have built.
#[test]
fn the_command_tells_it_in_both_languages() {
    let told = |language: &str| {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo");
        let mut command = assert_cmd::Command::cargo_bin("giftproof").unwrap();
        command.arg("demo").arg(&demo).args(["--seed=7", "--lang", language]);
        let output = command.assert().success().get_output().stdout.clone();
        assert!(demo.join("bundle.zip").exists() && demo.join("cheats/forged.zip").exists());
        String::from_utf8(output).unwrap()
    };
    let (english, chinese) = (told("en"), told("zh"));
    let both = ["2,904", "888", "91", "WH-R-6-2:390", "36,000", "gift1", "[signature/invalid]"];
    for text in both {
        assert!(english.contains(text) && chinese.contains(text), "{text}");
    }
    assert!(english.contains("audit: clean, exit code 0") && english.contains("exit code 1"));
    assert!(chinese.contains("核查：通过，退出码 0") && chinese.contains("第一幕"));
    // No place was left unfilled, no key shown for a text.
    for text in [&english, &chinese] {
        assert!(!text.contains(['{', '}']), "{text}");
    }
}
