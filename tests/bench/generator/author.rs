//! Who says what, in which order: the events of a made-up ledger before they are signed.
//!
//! Goods travel in *consignments*: one to four gifts by which a charity serves one hospital with one
//! shipment. Of the consignments that are open, a random one takes its next step, so that the events
//! of one gift stand far apart.
//!
//! | of all consignments | events |
//! |---|---|
//! | all | a donation for each gift, a dispatch, a receipt |
//! | 90 in 100 | the delivery, as the carrier or the sender states it |
//! | 30 in 100 | a designation: the gifts came for nobody in particular |
//! | 4 in 100 | an attestation: a photo of the goods |
//! | 1 in 100 | a dispute, its answer, and that it is closed |
//! | all | uses, as many as fill up the entries; of 100 last uses, 2 are disposals |
//! | 2 in 100 | a correction of the first use |
//!
//! One in a hundred consignments has a need before it, which is closed at its end. Three donors in
//! ten are enrolled and sign together with the charity; the others are recorded, as in the lists.
//! Keys for one gift only are left out, so that the signing keys stay as many as the parties.

use std::collections::VecDeque;

use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::{Digest32, EventHash, LeafHash, SubjectHash};
use giftproof::model::ident::{GiftId, Handle, ShipmentId};
use giftproof::model::key::SecretKey;
use giftproof::model::subject::Subject;
use giftproof::model::text::Text;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::Parameters;
use super::vocabulary::Vocabulary;
use crate::util::{REGISTRARS, START_MS, handle, secret, text};

/// An event to be signed with these keys.
pub struct Planned {
    pub draft: Draft,
    /// Numbers of [`Author::keys`].
    pub keys: Vec<usize>,
    /// The gift that begins.
    pub gift: Option<GiftId>,
    /// What no later event touches.
    pub closed: Vec<SubjectHash>,
}

struct Party {
    handle: Handle,
    key: usize,
}

/// A gift on its way. Quantities are in the stated unit of each line.
struct Gift {
    hash: EventHash,
    /// The number of each line, and how much of it can still be used.
    lines: Vec<(u16, u64)>,
    uses: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Need,
    Donate,
    Designate,
    Dispatch,
    Attest,
    Deliver,
    Receive,
    Use,
    Correct,
    Dispute,
    Answer,
    Settle,
    CloseNeed,
}

struct Consignment {
    number: u64,
    charity: usize,
    hospital: usize,
    carrier: Option<usize>,
    designated: bool,
    steps: VecDeque<Step>,
    gifts: Vec<Gift>,
    /// How many uses the gifts have together.
    uses: u64,
    first_use: Option<(u64, EventHash, Use)>,
    dispute: Option<EventHash>,
    need: Option<EventHash>,
}

pub struct Author {
    parameters: Parameters,
    genesis: LeafHash,
    vocabulary: Vocabulary,
    random: SmallRng,
    /// Of all parties, the registrars last.
    pub keys: Vec<SecretKey>,
    charities: Vec<Party>,
    hospitals: Vec<Party>,
    donors: Vec<Party>,
    carriers: Vec<Party>,
    unenrolled: VecDeque<Planned>,
    open: Vec<Consignment>,
    gifts: u64,
    consignments: u64,
    now: UnixMs,
}

impl Author {
    pub fn new(parameters: Parameters, genesis: LeafHash, vocabulary: Vocabulary) -> Self {
        let mut author = Self {
            parameters,
            genesis,
            vocabulary,
            random: SmallRng::seed_from_u64(parameters.seed),
            keys: Vec::new(),
            charities: Vec::new(),
            hospitals: Vec::new(),
            donors: Vec::new(),
            carriers: Vec::new(),
            unenrolled: VecDeque::new(),
            open: Vec::new(),
            gifts: 0,
            consignments: 0,
            now: UnixMs(START_MS),
        };
        author.enrol_all();
        author
    }

    /// How many events come before the first gift: the enrolments.
    pub fn enrolments(&self) -> u64 {
        self.unenrolled.len() as u64
    }

    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    pub fn genesis(&self) -> LeafHash {
        self.genesis
    }

    fn enrol_all(&mut self) {
        let parties = self.parameters.parties.max(8);
        let charities = (parties / 12).max(1);
        let hospitals = (parties * 2 / 5).max(2);
        let carriers = (parties / 50).max(1);
        let donors = parties - charities - hospitals - carriers;
        let sorts = [
            ("charity", Role::Charity, charities),
            ("hospital", Role::Recipient, hospitals),
            ("carrier", Role::Carrier, carriers),
            ("donor", Role::Donor, donors),
        ];
        let first_registrar = parties as usize;
        for (sort, role, count) in sorts {
            let parties = (1..=count).map(|number| self.enrol(sort, role, number, first_registrar));
            let parties = parties.collect();
            match role {
                Role::Charity => self.charities = parties,
                Role::Recipient => self.hospitals = parties,
                Role::Carrier => self.carriers = parties,
                _ => self.donors = parties,
            }
        }
        self.keys.extend(REGISTRARS.map(secret));
        self.keys.push(secret("operator"));
    }

    fn enrol(&mut self, sort: &str, role: Role, number: u64, first_registrar: usize) -> Party {
        let name = format!("{sort}-{number}");
        let own = secret(&format!("{name} of seed {}", self.parameters.seed));
        let (handle_, key) = (handle(&name), self.keys.len());
        let published = self.random.random_range(0..self.vocabulary.donors.len());
        let published = &self.vocabulary.donors[published];
        let statement = PartyEnrolled {
            handle: handle_.clone(),
            kind: PartyKind::Organisation,
            roles: List::new(vec![role]).expect("one role"),
            particulars: Particulars {
                name: if published.is_empty() { text(&name) } else { published.clone() },
                identifier: text(&format!("91420100MA{number:08}")),
                place: text("湖北省武汉市"),
            },
            key: own.public().into(),
        };
        let draft = Draft::new(statement, self.now, self.nonce(0));
        let mut draft = draft.signer(Capacity::NewKey, Some(&handle_), own.public().into());
        let mut keys = vec![key];
        if role.is_vouched() {
            for (at, registrar) in REGISTRARS[..2].iter().enumerate() {
                let public = secret(registrar).public().into();
                draft = draft.signer(Capacity::Registrar, Some(&handle(registrar)), public);
                keys.push(first_registrar + at);
            }
        } else {
            let public = secret("operator").public().into();
            draft = draft.signer(Capacity::Operator, Some(&handle("operator")), public);
            keys.push(first_registrar + REGISTRARS.len());
        }
        self.keys.push(own);
        self.unenrolled.push_back(Planned { draft, keys, gift: None, closed: Vec::new() });
        Party { handle: handle_, key }
    }

    /// The event at this index, recorded at this moment.
    pub fn next(&mut self, index: u64, recorded_at: UnixMs) -> Planned {
        self.now = UnixMs(recorded_at.0 - 500);
        if let Some(planned) = self.unenrolled.pop_front() {
            return planned;
        }
        let mut forgotten = Vec::new();
        let hot = self.parameters.open_max();
        if self.gifts < self.gifts_due(index) {
            if self.open.len() as u64 >= hot {
                // Its goods rest where they are for good.
                let at = self.random.random_range(0..self.open.len());
                forgotten = subjects(&self.open.swap_remove(at), self);
            }
            self.begin();
        }
        if self.open.is_empty() {
            return self.notice();
        }
        let at = self.random.random_range(0..self.open.len());
        let mut consignment = self.open.swap_remove(at);
        let mut planned = self.step(&mut consignment, index);
        planned.closed = forgotten;
        if consignment.steps.is_empty() {
            planned.closed.extend(subjects(&consignment, self));
        } else {
            self.open.push(consignment);
        }
        planned
    }

    /// As many gifts as should have begun: a first lot at once, the others evenly.
    fn gifts_due(&self, index: u64) -> u64 {
        let Parameters { entries, gifts, .. } = self.parameters;
        let first = (gifts / 10).min(self.parameters.open_max());
        let index = u128::from(index.min(entries));
        first + (u128::from(gifts - first) * index / u128::from(entries)) as u64
    }

    fn begin(&mut self) {
        let Parameters { entries, gifts, .. } = self.parameters;
        // On the average 1.47 gifts share a shipment, as in the deliveries.
        let share = match self.random.random_range(0..100) {
            0..70 => 1,
            70..88 => 2,
            88..95 => 3,
            _ => 4,
        };
        let share = share.min(gifts - self.gifts);
        let chance = |random: &mut SmallRng, percent| random.random_range(0..100) < percent;
        let mut steps = VecDeque::new();
        let need = chance(&mut self.random, 1);
        steps.extend(need.then_some(Step::Need));
        steps.extend((0..share).map(|_| Step::Donate));
        let designated = !chance(&mut self.random, 30);
        steps.extend((!designated).then_some(Step::Designate));
        steps.push_back(Step::Dispatch);
        steps.extend(chance(&mut self.random, 4).then_some(Step::Attest));
        steps.extend(chance(&mut self.random, 90).then_some(Step::Deliver));
        steps.push_back(Step::Receive);
        if chance(&mut self.random, 1) {
            steps.extend([Step::Dispute, Step::Answer, Step::Settle]);
        }
        // On the average, a consignment's events then are its share of all.
        let wanted = share as f64 * entries as f64 / gifts as f64 - steps.len() as f64;
        let mean = wanted.max(0.0);
        let uses = self.random.random_range(0.0..=2.0 * mean).round() as u64;
        steps.extend((0..uses).map(|_| Step::Use));
        if uses > 0 && chance(&mut self.random, 2) {
            steps.push_back(Step::Correct);
        }
        steps.extend(need.then_some(Step::CloseNeed));
        self.consignments += 1;
        let carrier = self.random.random_range(0..self.carriers.len());
        let carried = chance(&mut self.random, 50);
        let consignment = Consignment {
            number: self.consignments,
            charity: self.random.random_range(0..self.charities.len()),
            hospital: self.random.random_range(0..self.hospitals.len()),
            carrier: carried.then_some(carrier),
            designated,
            steps,
            gifts: Vec::new(),
            uses,
            first_use: None,
            dispute: None,
            need: None,
        };
        self.gifts += share;
        self.open.push(consignment);
    }

    fn step(&mut self, c: &mut Consignment, index: u64) -> Planned {
        let step = c.steps.pop_front().expect("a consignment without steps is not open");
        match step {
            Step::Need => {
                let goods = self.random.random_range(0..self.vocabulary.goods.len());
                let goods = &self.vocabulary.goods[goods];
                let need = NeedDeclared {
                    item: goods.item.clone(),
                    standard: Text::default(),
                    quantity: Some(goods.quantity.max(1)),
                    unit: goods.unit.clone(),
                    wanted_by: None,
                };
                let planned = self.by(c, need, Capacity::Recipient, Who::Hospital);
                c.need = Some(self.hash(&planned));
                planned
            }
            Step::CloseNeed => {
                let need = c.need.expect("a need is closed after it was declared");
                self.by(c, NeedClosed { need }, Capacity::Recipient, Who::Hospital)
            }
            Step::Donate => self.donate(c),
            Step::Designate => {
                let assignment = |(goods, quantity)| Assignment {
                    goods: Goods { meant_for: None, ..goods },
                    recipient: self.hospitals[c.hospital].handle.clone(),
                    quantity,
                };
                let designation = Designation {
                    holder: self.charities[c.charity].handle.clone(),
                    order: None,
                    decided_by: text("allocation board"),
                    decision: text(&format!("AB-{}", c.number)),
                    consent: Consent::NotNeeded,
                    assignments: list(self.goods(c).into_iter().map(assignment)),
                };
                self.by(c, designation, Capacity::Holder, Who::Charity)
            }
            Step::Dispatch => self.dispatch(c),
            Step::Attest => {
                let testimony = |(goods, quantity)| Testimony { goods, quantity };
                let attestation = Attestation {
                    evidence: EvidenceKind::Photo,
                    text: text("Loaded at the warehouse gate."),
                    shipment: Some(self.shipment(c)),
                    goods: list(self.goods(c).into_iter().map(testimony)),
                    ..nothing_attested()
                };
                let mut planned = self.by(c, attestation, Capacity::Speaker, Who::Charity);
                let sha256 = Some(Digest32::from_bytes(self.random.random()));
                planned.draft.documents = vec![document(DocumentKind::Photo, "photo", sha256)];
                planned
            }
            Step::Deliver => {
                let delivery = Delivery {
                    shipment: self.shipment(c),
                    place: text("武汉市 goods entrance"),
                    waybill: self.waybill(c),
                    time: text("14:30"),
                };
                match c.carrier {
                    Some(_) => self.by(c, delivery, Capacity::Carrier, Who::Carrier),
                    None => self.by(c, delivery, Capacity::Holder, Who::Charity),
                }
            }
            Step::Receive => self.receive(c),
            Step::Use => self.use_up(c, index),
            Step::Correct => {
                let (target_index, target, mut used) =
                    c.first_use.take().expect("a use is corrected after it was stated");
                used.ward = text("ICU 2, corrected");
                let correction = Correction {
                    target_index,
                    target,
                    target_kind: Kind::Use as u16,
                    replacement: Blob::new(Statement::from(used).to_bytes())
                        .expect("a use is short"),
                };
                let mut planned = self.by(c, correction, Capacity::Holder, Who::Hospital);
                planned.draft.reason =
                    Some(Reason { code: ReasonCode::Typing, text: text("another ward") });
                planned
            }
            Step::Dispute => {
                let dispute = Dispute {
                    gift: c.gifts[0].hash,
                    claim: Claim::Quantity,
                    text: text("Two packages fewer than the delivery note says."),
                };
                let planned = self.by(c, dispute, Capacity::Speaker, Who::Hospital);
                c.dispute = Some(self.hash(&planned));
                planned
            }
            Step::Answer => {
                let answer = Answer {
                    gift: c.gifts[0].hash,
                    dispute: c.dispute.expect("there is an answer to a dispute only"),
                    text: text("They were found in the second vehicle."),
                };
                self.by(c, answer, Capacity::Speaker, Who::Charity)
            }
            Step::Settle => {
                let closed = DisputeClosed {
                    gift: c.gifts[0].hash,
                    dispute: c.dispute.expect("a dispute is closed after it began"),
                    text: text("Counted again, all is there."),
                };
                self.by(c, closed, Capacity::Speaker, Who::Hospital)
            }
        }
    }

    fn donate(&mut self, c: &mut Consignment) -> Planned {
        let count = match self.random.random_range(0..100) {
            0..85 => 1,
            85..95 => 2,
            _ => 3,
        };
        // Each use takes some of each line.
        let least = 8 * (c.uses + 1);
        let mut lines = Vec::new();
        for number in 1..=count {
            let goods = self.random.random_range(0..self.vocabulary.goods.len());
            let goods = &self.vocabulary.goods[goods];
            let quantity = goods.quantity.max(least);
            let hospital = self.hospitals[c.hospital].handle.clone();
            let share = Share { recipient: hospital, quantity };
            let lot =
                Lot { number: text(&format!("L{:06}", c.number % 1_000_000)), expires_on: None };
            lines.push(Line {
                number,
                item: goods.item.clone(),
                category: goods.category.clone(),
                unit: goods.unit.clone(),
                pack: goods.pack.clone(),
                quantity,
                shares: list(c.designated.then_some(share)),
                lots: list(c.number.is_multiple_of(4).then_some(lot)),
                maker: goods.maker.clone(),
                product_code: Text::default(),
                registration: Text::default(),
                standard: Text::default(),
                serials: List::default(),
                storage: Text::default(),
                specification: goods.specification.clone(),
                value: goods.value.clone(),
            });
        }
        let enrolled = (self.random.random_range(0..10) < 3)
            .then(|| self.random.random_range(0..self.donors.len()));
        let name = self.random.random_range(0..self.vocabulary.donors.len());
        let donor = match enrolled {
            Some(donor) => Donor {
                kind: DonorKind::Enrolled,
                party: Some(self.donors[donor].handle.clone()),
                key: None,
                name: Text::default(),
            },
            None => Donor {
                kind: DonorKind::Recorded,
                party: None,
                key: None,
                name: self.vocabulary.donors[name].clone(),
            },
        };
        let quantities = lines.iter().map(|line| (line.number, line.quantity)).collect();
        let donation = Donation {
            donor,
            mark: None,
            taker: Some(self.charities[c.charity].handle.clone()),
            lines: list(lines),
            standing_consent: false,
            purpose: Text::default(),
            channel: text("warehouse gate"),
            campaign: Text::default(),
            part: None,
            deadline: None,
            historic: false,
            restates: Text::default(),
            commitments: List::default(),
        };
        let mut planned = self.by(c, donation, Capacity::Taker, Who::Charity);
        let number = format!("PO-{}", c.number);
        planned.draft.documents = vec![document(DocumentKind::Contract, &number, None)];
        if let Some(donor) = enrolled {
            let Party { handle, key } = &self.donors[donor];
            let public = self.keys[*key].public().into();
            planned.draft = planned.draft.signer(Capacity::Donor, Some(handle), public);
            planned.keys.push(*key);
        }
        let hash = self.hash(&planned);
        planned.gift = Some(GiftId::from(&hash));
        c.gifts.push(Gift { hash, lines: quantities, uses: 0 });
        planned
    }

    fn dispatch(&mut self, c: &Consignment) -> Planned {
        let portion = |(goods, quantity)| Portion::new(goods, quantity);
        let dispatch = Dispatch {
            shipment: self.shipment(c),
            taker: self.hospitals[c.hospital].handle.clone(),
            purpose: Purpose::Issue,
            carrier: c.carrier.map(|carrier| self.carriers[carrier].handle.clone()),
            carrier_name: Text::default(),
            waybill: self.waybill(c),
            package_count: Some(12),
            packages: List::default(),
            expected_on: None,
            portions: list(self.goods(c).into_iter().map(portion)),
        };
        let mut planned = self.by(c, dispatch, Capacity::Holder, Who::Charity);
        let number = format!("ASN-{}", c.number);
        planned.draft.documents = vec![document(DocumentKind::DeliveryNote, &number, None)];
        // Half of the carriers sign for what they take.
        if let Some(carrier) = c.carrier.filter(|_| c.number.is_multiple_of(2)) {
            let Party { handle, key } = &self.carriers[carrier];
            let public = self.keys[*key].public().into();
            planned.draft = planned.draft.signer(Capacity::Carrier, Some(handle), public);
            planned.keys.push(*key);
        }
        planned
    }

    fn receive(&mut self, c: &mut Consignment) -> Planned {
        let spoilt = self.random.random_range(0..100) < 3;
        let arrival = |(goods, quantity): (Goods, u64)| {
            let damaged = if spoilt { quantity / 8 } else { 0 };
            Arrival {
                goods,
                accepted: quantity - damaged,
                pending: 0,
                damaged,
                rejected: 0,
                surplus: 0,
                actual: None,
            }
        };
        let receipt = Receipt {
            shipment: Some(self.shipment(c)),
            giver: None,
            purpose: None,
            closing: true,
            package_count: Some(12),
            temperature: Text::default(),
            arrivals: list(self.goods(c).into_iter().map(arrival)),
        };
        let gifts = c.gifts.len() as u64;
        for (at, gift) in (0..).zip(&mut c.gifts) {
            gift.uses = (c.uses + gifts - 1 - at) / gifts;
            if spoilt {
                gift.lines.iter_mut().for_each(|(_, quantity)| *quantity -= *quantity / 8);
            }
        }
        self.by(c, receipt, Capacity::Taker, Who::Hospital)
    }

    /// Uses one share of the gift that has the most uses before it.
    fn use_up(&mut self, c: &mut Consignment, index: u64) -> Planned {
        let meant_for = self.hospitals[c.hospital].handle.clone();
        let gift = c.gifts.iter_mut().max_by_key(|gift| gift.uses).expect("it has gifts");
        let mut portions = Vec::new();
        for (line, left) in &mut gift.lines {
            let quantity = *left / gift.uses;
            *left -= quantity;
            portions.push(Portion::new(goods(gift.hash, *line, Some(&meant_for)), quantity));
        }
        gift.uses -= 1;
        let last = gift.uses == 0;
        let portions = list(portions);
        if last && self.random.random_range(0..100) < 2 && c.first_use.is_some() {
            let disposal = Disposal {
                fate: Fate::Expired,
                condition: Condition::Good,
                to: text("incinerated"),
                proceeds: None,
                portions,
            };
            return self.by(c, disposal, Capacity::Holder, Who::Hospital);
        }
        let used = Use { ward: text("ICU 1"), purpose: text("protection of staff"), portions };
        let planned = self.by(c, used.clone(), Capacity::Holder, Who::Hospital);
        if c.first_use.is_none() {
            c.first_use = Some((index, self.hash(&planned), used));
        }
        planned
    }

    /// Where nothing is on its way: a charity publishes something.
    fn notice(&mut self) -> Planned {
        let charity = self.random.random_range(0..self.charities.len());
        let Party { handle, key } = &self.charities[charity];
        let notice = Attestation {
            evidence: EvidenceKind::Publication,
            text: text("Received and passed on this week, as published."),
            url: text("https://charity.example/notices"),
            ..nothing_attested()
        };
        let (own, public) = (*key, self.keys[*key].public().into());
        let handle = handle.clone();
        let draft = Draft::new(notice, self.now, self.nonce(0));
        let draft = draft.signer(Capacity::Speaker, Some(&handle), public);
        Planned { draft, keys: vec![own], gift: None, closed: Vec::new() }
    }

    /// Everything of a consignment that has not been used, meant for its hospital.
    fn goods(&self, c: &Consignment) -> Vec<(Goods, u64)> {
        let hospital = &self.hospitals[c.hospital].handle;
        let of = |gift: &Gift| -> Vec<(Goods, u64)> {
            let goods =
                |(line, left): &(u16, u64)| (goods(gift.hash, *line, Some(hospital)), *left);
            gift.lines.iter().map(goods).collect()
        };
        c.gifts.iter().flat_map(of).collect()
    }

    fn shipment(&self, c: &Consignment) -> ShipmentId {
        let giver = self.charities[c.charity].handle.clone();
        ShipmentId { giver, number: text(&format!("DN-{}", c.number)) }
    }

    fn waybill(&self, c: &Consignment) -> Text<60> {
        text(&format!("SF{:010}", c.number))
    }

    /// A draft that one party of the consignment signs.
    fn by(
        &mut self,
        c: &Consignment,
        statement: impl Into<Statement>,
        capacity: Capacity,
        who: Who,
    ) -> Planned {
        let nonce = self.nonce(c.number);
        let party = match who {
            Who::Charity => &self.charities[c.charity],
            Who::Hospital => &self.hospitals[c.hospital],
            Who::Carrier => &self.carriers[c.carrier.expect("somebody carries it")],
        };
        let public = self.keys[party.key].public().into();
        let mut draft = Draft::new(statement, self.now, nonce);
        draft.occurred_on = Some(self.now.date(480));
        let draft = draft.signer(capacity, Some(&party.handle), public);
        Planned { draft, keys: vec![party.key], gift: None, closed: Vec::new() }
    }

    /// 8 bytes that tell the consignment, and 8 random ones: who submits a ledger's events from
    /// several threads keeps those of one consignment in their order.
    fn nonce(&mut self, consignment: u64) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&consignment.to_be_bytes());
        self.random.fill(&mut nonce[8..]);
        nonce
    }

    fn hash(&self, planned: &Planned) -> EventHash {
        let frame = planned.draft.frame().expect("generated events keep all limits");
        frame.hash(&self.genesis)
    }
}

enum Who {
    Charity,
    Hospital,
    Carrier,
}

/// What only the events of one consignment touch.
fn subjects(c: &Consignment, author: &Author) -> Vec<SubjectHash> {
    let gifts = c.gifts.iter().map(|gift| Subject::Gift(gift.hash).hash());
    let shipment = Subject::Shipment(author.shipment(c)).hash();
    let need = c.need.map(|need| Subject::Statement(need).hash());
    gifts.chain([shipment]).chain(need).collect()
}

fn goods(gift: EventHash, line: u16, meant_for: Option<&Handle>) -> Goods {
    Goods { gift, line, unit: UnitChoice::Stated, meant_for: meant_for.cloned() }
}

fn list<T: giftproof::model::encoding::Keyed, const MAX: usize>(
    items: impl IntoIterator<Item = T>,
) -> List<T, MAX> {
    List::new(items.into_iter().collect()).expect("generated lists are short, without repetition")
}

fn document(kind: DocumentKind, number: &str, sha256: Option<Digest32>) -> Document {
    Document { kind, number: text(number), sha256 }
}

fn nothing_attested() -> Attestation {
    Attestation {
        evidence: EvidenceKind::Other,
        text: Text::default(),
        url: Text::default(),
        from: None,
        until: None,
        held_by: None,
        recipient_name: Text::default(),
        shipment: None,
        goods: List::default(),
        listed: List::default(),
    }
}
