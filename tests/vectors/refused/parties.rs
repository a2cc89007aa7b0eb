//! Step 7 of the audit: parties, keys, signers, and what is said.

use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::ident::KeyBytes;

use super::{refused, small_donation, two};
use crate::util::*;
use crate::vectors::case::Case;
use crate::vectors::crafted;
use crate::vectors::scribe::{ORIGIN, Scribe, checkpoint, first_rules};
use crate::vectors::statements::*;

/// Step 7: parties, keys, signers.
pub fn parties() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut refuse = |name, code: &'static str, what, log: Scribe, draft| {
        cases.push(refused(name, code, "7.3", what, log, draft));
    };
    let log = two();
    let donation = recorded("stranger", vec![line(1, "N95口罩", 10, "个", &[])]);
    let draft = log.draft(donation, &[(Capacity::Taker, "stranger")]);
    refuse("party-unknown", "party/unknown", "The taker is not enrolled.", log, draft);

    let log = two();
    let mut draft = log.enrolment("hospital-a", Role::Recipient, 2);
    let taken = match &mut draft.statement {
        Statement::PartyEnrolled(statement) => statement,
        _ => unreachable!("an enrolment"),
    };
    taken.key = key("stranger");
    draft.signers.iter_mut().filter(|signer| signer.capacity == Capacity::NewKey).for_each(|s| {
        s.key = key("stranger");
    });
    refuse("party-exists", "party/exists", "A handle a second time.", log, draft);

    let mut log = two();
    log.enrol("factory", Role::Donor, 0);
    let donation = recorded("factory", vec![line(1, "N95口罩", 10, "个", &[])]);
    let draft = log.draft(donation, &[(Capacity::Taker, "factory")]);
    refuse("party-role", "party/role", "A donor takes goods into custody.", log, draft);

    let log = two();
    let draft = log.enrolment("hospital-b", Role::Recipient, 0);
    refuse(
        "enrolled-by-operator",
        "registrars/too-few",
        "The operator alone enrols a hospital.",
        log,
        draft,
    );

    let add = |log: &Scribe, new: KeyBytes, who: &[(Capacity, &str)]| {
        log.draft(KeyAdded { handle: handle("red-cross"), key: new }, who)
    };
    let log = two();
    let weak = KeyBytes::from_bytes(crafted::key_with_torsion(&secret("stranger")));
    let draft = add(&log, weak, &TWO);
    refuse("key-invalid", "key/invalid", "A new key with a torsion part.", log, draft);

    let red_cross = handle("red-cross");
    let log = two();
    let taken = key("hospital-a");
    let draft = add(&log, taken, &TWO).signer(Capacity::NewKey, Some(&red_cross), taken);
    refuse("key-taken", "key/taken", "A new key that is another party's.", log, draft);

    let log = two();
    let one = [(Capacity::Registrar, "registrar-1")];
    let new = key("stranger");
    let draft = add(&log, new, &one).signer(Capacity::NewKey, Some(&red_cross), new);
    refuse("registrars-too-few", "registrars/too-few", "One registrar adds a key.", log, draft);

    let log = two();
    let draft = add(&log, new, &TWO);
    refuse("possession", "signer/missing", "A new key that does not sign itself.", log, draft);

    let log = two();
    let who = [(Capacity::Registrar, "registrar-1")];
    let draft = add(&log, new, &who).signer(Capacity::NewKey, Some(&red_cross), new);
    let draft = draft.signer(Capacity::Registrar, Some(&handle("hospital-a")), key("hospital-a"));
    refuse("registrar-wrong", "signer/wrong", "A hospital vouches as a registrar.", log, draft);

    let log = two();
    let donation = recorded("red-cross", vec![line(1, "N95口罩", 10, "个", &[])]);
    let draft = log.draft(donation.clone(), &[]);
    let draft = draft.signer(Capacity::Taker, Some(&red_cross), key("hospital-a"));
    refuse("key-not-of-party", "key/not-of-party", "Signed with another's key.", log, draft);

    let mut log = two();
    let revoked = KeyRevoked { handle: red_cross.clone(), key: key("red-cross") };
    let draft = log.draft(revoked, &[(Capacity::Oneself, "red-cross")]);
    log.accept(draft);
    let draft = small_donation(&log);
    refuse("key-ended", "key/ended", "Signed with a key that was revoked.", log, draft);

    let log = two();
    let draft = log.draft(donation.clone(), &[(Capacity::Speaker, "red-cross")]);
    refuse("signer-missing", "signer/missing", "Nobody signs as the taker.", log, draft);

    let log = two();
    let both = [(Capacity::Taker, "red-cross"), (Capacity::Speaker, "hospital-a")];
    let draft = log.draft(donation.clone(), &both);
    refuse("signer-extra", "signer/extra", "Somebody signs who has nothing to say.", log, draft);

    let log = two();
    let draft = log.draft(donation, &HOSPITAL);
    refuse("signer-wrong", "signer/wrong", "hospital-a signs as taker for red-cross.", log, draft);

    let log = two();
    let particulars =
        Particulars { name: text("red-cross"), identifier: text(""), place: text("") };
    let same = PartyUpdated { handle: red_cross.clone(), particulars, successor: None };
    let draft = log.draft(same, &TWO);
    refuse("no-change", "event/no-change", "Particulars that already stand.", log, draft);

    let log = new_offices();
    let draft = log.draft(RulesChanged { rules: first_rules() }, &TWO);
    let case = refused(
        "registrar-key-replaced",
        "key/not-of-party",
        "7.2",
        "A registrar signs with the key that was replaced.",
        log,
        draft,
    );
    let log = new_offices_refused();
    let note = checkpoint(ORIGIN, log.entries.len() as u64, log.root(), "operator-2");
    cases.push(case.checkpoint(note));
    cases
}

/// The log of the case above once more, for its checkpoint.
fn new_offices_refused() -> Scribe {
    let mut log = new_offices();
    let draft = log.draft(RulesChanged { rules: first_rules() }, &TWO);
    log.force(draft);
    log
}

/// Step 7: disputes, recalls, needs.
pub fn speech() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut refuse = |name, code: &'static str, what, log: Scribe, draft| {
        cases.push(refused(name, code, "7.3", what, log, draft));
    };
    let nobody = EventHash::from_bytes([9; 32]);
    let mut log = two();
    let gift = slip_gift(&mut log);
    let answer = Answer { gift, dispute: nobody, text: text("") };
    let draft = log.draft(answer, &[(Capacity::Speaker, "red-cross")]);
    refuse("dispute-unknown", "dispute/unknown", "An answer to no dispute.", log, draft);

    let mut log = two();
    let gift = slip_gift(&mut log);
    let draft = own_dispute(&log, gift, "slip-1");
    log.accept(draft);
    let draft = own_dispute(&log, gift, "slip-1");
    refuse("dispute-open", "dispute/open", "A gift's key disputes twice.", log, draft);

    let mut log = two();
    let gift = slip_gift(&mut log);
    let dispute = Dispute { gift, claim: Claim::Other, text: text("") };
    let draft = log.draft(dispute, &[(Capacity::Speaker, "hospital-a")]);
    refuse("dispute-stranger", "signer/wrong", "Who has nothing to do with it.", log, draft);

    let mut log = two();
    let gift = slip_gift(&mut log);
    let draft = own_dispute(&log, gift, "slip-1");
    let dispute = log.accept(draft);
    let closed = DisputeClosed { gift, dispute, text: text("") };
    let draft = log.draft(closed, &[(Capacity::Speaker, "red-cross")]);
    refuse("dispute-closed", "signer/wrong", "Closed by the other side.", log, draft);

    let log = two();
    let lifted = RecallLifted { recall: nobody, item: text("N95口罩"), lot: text("") };
    let draft = log.draft(lifted, &TWO);
    refuse("recall-unknown", "recall/unknown", "A recall that is not there.", log, draft);

    let log = two();
    let draft = log.draft(NeedClosed { need: nobody }, &[(Capacity::Recipient, "hospital-a")]);
    refuse("need-unknown", "need/unknown", "A need that is not there.", log, draft);
    cases
}
