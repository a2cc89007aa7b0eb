//! The generator of made-up ledgers, on which the benchmarks rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use giftproof::bundle::OpenedBundle;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::event::Kind;
use giftproof::model::ident::GiftId;
use giftproof::model::trust::TrustFile;
use giftproof::verify::{AuditState, Options, Outcome, Report, Since, audit_since};
use tempfile::TempDir;

#[path = "bench/generator/mod.rs"]
mod made;

use made::{Generated, Parameters, generate};

const SMALL: Parameters =
    Parameters { entries: 3_000, gifts: 600, parties: 60, seed: 1, seals: true };

fn made(parameters: Parameters) -> (TempDir, Generated) {
    let folder = tempfile::tempdir().unwrap();
    let generated = generate(folder.path(), parameters).unwrap();
    (folder, generated)
}

fn audited(folder: &Path, bundle: &str, since: Since) -> Report {
    let trust = TrustFile::parse(&fs::read(folder.join("trust")).unwrap()).unwrap();
    let opened = OpenedBundle::open(&folder.join(bundle)).unwrap();
    let size = SignedCheckpoint::parse(opened.checkpoint()).unwrap().checkpoint().size;
    let source = opened.with_size(size).unwrap();
    audit_since(&source, Some(&trust), since, &Options::default()).unwrap()
}

#[test]
fn a_generated_ledger_audits_clean_and_has_what_was_asked_for() {
    let (folder, generated) = made(SMALL);
    let report = audited(folder.path(), "bundle.zip", Since::Nothing);
    assert_eq!(report.outcome(), Outcome::Clean, "{:?}", report.failures.first());
    assert_eq!((report.entries, report.signatures), (SMALL.entries, generated.signatures));
    let counted: BTreeMap<String, u64> =
        report.events.iter().map(|(kind, count)| (kind.word().to_owned(), *count)).collect();
    assert_eq!(counted, generated.kinds);

    let state = report.state.as_ref().unwrap();
    let noted = fs::read_to_string(folder.path().join("gifts")).unwrap();
    assert_eq!(noted.lines().count() as u64, generated.kinds["donation"]);
    let known = |line: &str| state.gift_by_id(&line.parse::<GiftId>().unwrap()).is_some();
    assert!(noted.lines().all(known));

    // The same log, one in a hundred entries later.
    let state = AuditState::of(report, 0).unwrap();
    let later = audited(folder.path(), "later.zip", Since::State(Box::new(state)));
    assert_eq!(later.outcome(), Outcome::Clean);
    assert_eq!((later.resumed_at, later.entries), (3_000, 3_030));
}

#[test]
fn the_kinds_are_mixed_as_the_generator_says() {
    let parameters = Parameters { entries: 10_000, gifts: 2_000, seals: false, ..SMALL };
    let (_folder, generated) = made(parameters);
    let count = |kind: Kind| generated.kinds.get(kind.word()).copied().unwrap_or(0);
    // Some gifts of consignments that are still open have not begun.
    let begun = 2_000 - 4 * open_at_most(&parameters)..=2_000;
    assert!(begun.contains(&count(Kind::Donation)), "{}", count(Kind::Donation));
    // Random numbers of consignments: within a fifth of what stands in the generator's table.
    let consignments = 2_000.0 / 1.47;
    let about = |kind: Kind, expected: f64| {
        let found = count(kind) as f64;
        assert!((0.8..1.2).contains(&(found / expected)), "{kind:?}: {found} of {expected}");
    };
    about(Kind::Dispatch, consignments);
    about(Kind::Receipt, consignments);
    about(Kind::Delivery, 0.9 * consignments);
    about(Kind::Designation, 0.3 * consignments);
    let rest = [Kind::Donation, Kind::Dispatch, Kind::Receipt, Kind::Delivery, Kind::Designation];
    let rest = 10_000 - generated.preamble - rest.map(count).iter().sum::<u64>();
    about(Kind::Use, rest as f64);
    let rare = [
        Kind::Attestation,
        Kind::Dispute,
        Kind::Answer,
        Kind::DisputeClosed,
        Kind::Correction,
        Kind::Disposal,
        Kind::NeedDeclared,
        Kind::NeedClosed,
    ];
    for kind in rare {
        assert!((1..=200).contains(&count(kind)), "{kind:?}: {}", count(kind));
    }
    assert_eq!(count(Kind::EpochSealed), 0);
}

#[test]
fn the_same_parameters_give_the_same_bytes_and_another_seed_others() {
    let parameters = Parameters { entries: 700, gifts: 140, ..SMALL };
    let bytes = |parameters| fs::read(made(parameters).0.path().join("later.zip")).unwrap();
    let first = bytes(parameters);
    assert!(first == bytes(parameters), "the same parameters gave other bytes");
    assert!(first != bytes(Parameters { seed: 2, ..parameters }), "the seed changes nothing");
}

#[test]
fn what_the_generator_remembers_does_not_grow_with_the_entries() {
    // The same hot set, four times as long.
    let short = Parameters { entries: 2_000, gifts: 100, seals: false, ..SMALL };
    let long = Parameters { entries: 8_000, ..short };
    let many = Parameters { entries: 8_000, gifts: 400, ..short };
    for parameters in [short, long, many] {
        // Of each open consignment four gifts, the shipment and a need; parties; the root.
        let bound = 6 * (open_at_most(&parameters) + 1) + parameters.parties + 1;
        let (_folder, generated) = made(parameters);
        assert!(
            generated.subjects_at_most <= bound,
            "{} subjects at a time, more than {bound}",
            generated.subjects_at_most
        );
    }
}

/// As the generator's table of open consignments has it.
fn open_at_most(parameters: &Parameters) -> u64 {
    (parameters.gifts / 10).clamp(8, 20_000)
}
