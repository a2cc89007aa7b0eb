//! Steps 5 and 6 of the audit: signatures, links, anchors.

use giftproof::model::encoding::List;
use giftproof::model::entry::{Header, Link, Place, SignedEvent};
use giftproof::model::event::*;
use giftproof::model::hash::LeafHash;
use giftproof::model::ident::KeyBytes;
use giftproof::model::subject::Subject;

use super::{small_donation, two};
use crate::util::*;
use crate::vectors::case::Case;
use crate::vectors::crafted;
use crate::vectors::scribe::Scribe;
use crate::vectors::statements::*;

/// Step 5.
pub fn signatures() -> Vec<Case> {
    type Change = fn(&[u8], &mut [u8; 64]);
    let changed = |name, what, change: Change| {
        let mut log = two();
        let mut signed = log.sign(&small_donation(&log));
        let message = signed.frame.signing_message(&log.world.state.genesis);
        change(&message, &mut signed.signatures[0]);
        log.spoil(signed, |_| {});
        Case::last(name, "signature/invalid", &log).about("7.1", what)
    };
    let mut cases = vec![
        changed("signature-bit", "One bit of S is another.", |_, signature| signature[40] ^= 1),
        changed("signature-s-not-reduced", "S + L instead of S.", |_, signature| {
            *signature = crafted::with_s_not_reduced(*signature);
        }),
        changed(
            "signature-r-small-order",
            "R is the identity, and S = ka.",
            |message, signature| {
                let r = crafted::identity();
                *signature = crafted::with_r_of_small_order(&secret("red-cross"), message, r);
            },
        ),
        changed("signature-r-not-canonical", "The same, with y = 1 + p.", |message, signature| {
            let r = crafted::identity_not_canonical();
            *signature = crafted::with_r_of_small_order(&secret("red-cross"), message, r);
        }),
        changed(
            "signature-of-another-key",
            "hospital-a signs for red-cross.",
            |message, signature| {
                *signature = *secret("hospital-a").sign(message).as_bytes();
            },
        ),
    ];
    let mut log = two();
    let draft = small_donation(&log);
    let signed = log.sign_for(&LeafHash::from_bytes([7; 32]), &draft);
    log.spoil(signed, |_| {});
    cases.push(
        Case::last("signature-for-another-ledger", "signature/invalid", &log)
            .about("4.3", "Signed with another genesis hash."),
    );
    let mut log = two();
    let identity = KeyBytes::from_bytes(crafted::identity());
    let statement = KeyAdded { handle: handle("red-cross"), key: identity };
    let who = handle("red-cross");
    let draft = log.draft(statement, &TWO).signer(Capacity::NewKey, Some(&who), identity);
    let frame = draft.frame().unwrap();
    let message = frame.signing_message(&log.world.state.genesis);
    let (head, _) = frame.open().unwrap();
    let sign = |signer: &Signer| match signer.party.as_ref().map(|party| party.as_str()) {
        Some("red-cross") => *secret("stranger").sign(&message).as_bytes(),
        Some(name) => *secret(name).sign(&message).as_bytes(),
        None => unreachable!("every signer is named"),
    };
    let signatures = head.signers.iter().map(sign).collect();
    log.spoil(SignedEvent { frame, signatures }, |_| {});
    cases.push(
        Case::last("signature-under-the-identity", "signature/invalid", &log)
            .about("3.3", "A signer's key is the identity."),
    );
    cases
}

/// Step 6, and the anchor.
pub fn links() -> Vec<Case> {
    let spoilt = |name, what, change: fn(&mut Header)| {
        let mut log = two();
        let gift = pooled(&mut log, 10, &[]);
        let sent = portions(&[(gift, 1, None, 5)]);
        let sent = dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, sent);
        let signed = log.sign(&log.draft(sent, &HOLDER));
        log.spoil(signed, change);
        Case::last(name, "links/mismatch", &log)
            .gift(gift, "ledger-fails", &[("red-cross good", 10)])
            .about("6.2", what)
    };
    fn relink(header: &mut Header, change: impl FnOnce(&mut Vec<Link>)) {
        let mut links = header.links.to_vec();
        change(&mut links);
        header.links = List::new(links).unwrap();
    }
    let mut cases = vec![
        spoilt("links-number", "The gift's second event says that it is its third.", |header| {
            relink(header, |links| {
                links.iter_mut().filter(|link| link.number == 2).for_each(|link| link.number = 3);
            });
        }),
        spoilt("links-previous", "The link skips the donation.", |header| {
            relink(header, |links| {
                links.iter_mut().for_each(|link| link.previous = None);
            });
        }),
        spoilt("links-place", "The link goes to another entry.", |header| {
            relink(header, |links| {
                for Place { index, .. } in links.iter_mut().filter_map(|l| l.previous.as_mut()) {
                    *index -= 1;
                }
            });
        }),
        spoilt("links-missing", "The shipment is not linked.", |header| {
            relink(header, |links| links.retain(|link| link.number == 2));
        }),
        spoilt("links-extra", "A subject that the event does not touch.", |header| {
            relink(header, |links| {
                let subject = Subject::Root.hash();
                links.push(Link { subject, number: 1, previous: None });
            });
        }),
    ];
    let anchored = |name, what, anchor: fn(&Scribe) -> Anchor| {
        let mut log = two();
        let mut draft = small_donation(&log);
        draft.anchor = Some(anchor(&log));
        assert_eq!(log.force(draft), "anchor/mismatch");
        Case::last(name, "anchor/mismatch", &log).about("11.1", what)
    };
    cases.push(anchored("anchor-leaf", "The anchor names entry 1 by another hash.", |log| {
        Anchor { index: 1, leaf: log.world.state.last_leaf }
    }));
    cases.push(anchored("anchor-later", "The anchor names the entry itself.", |log| Anchor {
        index: 3,
        leaf: log.world.state.last_leaf,
    }));
    cases
}
