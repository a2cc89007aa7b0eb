//! From the rows of a list to a plan: groups rows into gifts and shipments, and keeps those that
//! cannot be mapped aside.

use std::collections::{BTreeMap, HashMap};

use super::map::{
    DocumentMap, GiftMap, LineMap, Map, PublicationMap, ShipmentMap, Template, ValueMap,
    handle_from,
};
use super::plan::{
    Parcel, Plan, PlannedGift, PlannedParty, PlannedPublication, PlannedShipment, PlannedSource,
    Step,
};
use super::report::Refused;
use super::table::{Row, Table};
use crate::model::date::Date;
use crate::model::encoding::{List, Malformed};
use crate::model::event::*;
use crate::model::ident::{Handle, ShipmentId};
use crate::model::text::Text;

/// Head, signers and a gift's own key need room in an event beside its lines.
const DONATION_LEN_MAX: usize = BODY_LEN_MAX - 4096;

/// Why a row cannot be mapped.
pub(super) struct Fault {
    code: &'static str,
    field: &'static str,
    found: String,
}

/// What the rows of one gift must agree on.
#[derive(PartialEq, Eq)]
struct GiftFacts {
    donor: Text<200>,
    on: Option<Date>,
    deadline: Option<Date>,
    purpose: Text<200>,
    channel: Text<80>,
    campaign: Text<60>,
    restates: Text<80>,
    documents: Vec<Document>,
}

/// What the rows of one shipment must agree on.
#[derive(PartialEq, Eq)]
struct ShipmentFacts {
    number: Text<40>,
    recipient: Handle,
    waybill: Text<60>,
    carrier: Text<120>,
    dispatched_on: Option<Date>,
    delivered_on: Option<Date>,
    received_on: Option<Date>,
    place: Text<200>,
    documents: Vec<Document>,
}

/// What the rows of one publication must agree on.
#[derive(PartialEq, Eq)]
struct PublicationFacts {
    text: Text<2000>,
    url: Text<300>,
    on: Option<Date>,
    recipient: Text<200>,
    documents: Vec<Document>,
}

/// Rows that belong together, by first appearance.
struct Groups<F, T> {
    by_key: HashMap<String, usize>,
    groups: Vec<Group<F, T>>,
}

struct Group<F, T> {
    facts: F,
    members: Vec<T>,
}

impl<F: PartialEq, T> Groups<F, T> {
    fn new() -> Self {
        Self { by_key: HashMap::new(), groups: Vec::new() }
    }

    /// Whether a row with these facts may join its group.
    fn fits(&self, key: &str, facts: &F) -> bool {
        self.by_key.get(key).is_none_or(|at| self.groups[*at].facts == *facts)
    }

    fn join(&mut self, key: String, facts: F, member: T) -> usize {
        let at = *self.by_key.entry(key).or_insert_with(|| {
            self.groups.push(Group { facts, members: Vec::new() });
            self.groups.len() - 1
        });
        self.groups[at].members.push(member);
        at
    }
}

/// A row that has been mapped.
struct MappedRow {
    at: RowPlace,
    gift: usize,
    /// The number of the line in its gift.
    line: u16,
    quantity: u64,
    shipment: Option<usize>,
}

/// Where a row stands, for the report.
#[derive(Clone)]
struct RowPlace {
    line: u64,
    reference: String,
}

pub(super) struct Planner<'a> {
    table: &'a Table,
    map: &'a Map,
    gifts: Groups<GiftFacts, Line>,
    shipments: Groups<ShipmentFacts, usize>,
    publications: Groups<PublicationFacts, (RowPlace, Listed)>,
    rows: Vec<MappedRow>,
    parties: BTreeMap<Handle, PlannedParty>,
    refused: Vec<Refused>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(table: &'a Table, map: &'a Map) -> Self {
        Self {
            table,
            map,
            gifts: Groups::new(),
            shipments: Groups::new(),
            publications: Groups::new(),
            rows: Vec::new(),
            parties: BTreeMap::new(),
            refused: table.refused().to_vec(),
        }
    }

    fn place(&self, row: &Row) -> RowPlace {
        RowPlace { line: row.line, reference: self.fill(row, &self.map.reference) }
    }

    pub(super) fn refuse(&mut self, row: &Row, fault: Fault) {
        let place = self.place(row);
        self.refuse_at(place, fault);
    }

    fn refuse_at(&mut self, place: RowPlace, fault: Fault) {
        let RowPlace { line, reference } = place;
        let Fault { code, field, found } = fault;
        self.refused.push(Refused { line, reference, code, field, found });
    }

    fn fill(&self, row: &Row, template: &Template) -> String {
        template.fill(self.table, row, &self.map.tables)
    }

    pub(super) fn take(&mut self, row: &Row) -> Result<(), Fault> {
        if let (Some(gift), Some(line)) = (&self.map.gift, &self.map.line) {
            self.take_line(row, gift, line)?;
        }
        if let Some(publication) = &self.map.publication {
            self.take_listed(row, publication)?;
        }
        Ok(())
    }

    fn take_line(&mut self, row: &Row, gift: &GiftMap, line: &LineMap) -> Result<(), Fault> {
        let recipient = self.recipient(row)?;
        let line = self.line(row, line, recipient.as_ref().map(|(handle, _)| handle))?;
        let facts = GiftFacts {
            donor: self.text(row, "donor", &gift.donor)?,
            on: self.date(row, "date", &gift.date)?,
            deadline: self.date(row, "deadline", &gift.deadline)?,
            purpose: self.text(row, "purpose", &gift.purpose)?,
            channel: self.text(row, "channel", &gift.channel)?,
            campaign: self.text(row, "campaign", &gift.campaign)?,
            restates: self.text(row, "restates", &gift.restates)?,
            documents: self.documents(row, &gift.documents)?,
        };
        let key = self.fill(row, &gift.group);
        if !self.gifts.fits(&key, &facts) {
            return Err(Fault { code: "import/gift-differs", field: "gift", found: key });
        }
        let sent = match (&self.map.shipment, &recipient) {
            (Some(shipment), Some((handle, _))) => self.shipment(row, shipment, handle)?,
            _ => None,
        };
        if let Some(facts) = &sent
            && !self.shipments.fits(facts.number.as_str(), facts)
        {
            let found = facts.number.to_string();
            return Err(Fault { code: "import/shipment-differs", field: "shipment", found });
        }
        // From here on the row is in.
        if let Some((handle, party)) = recipient {
            self.parties.insert(handle, party);
        }
        let quantity = line.quantity;
        let gift = self.gifts.join(key, facts, line);
        let lines = &mut self.gifts.groups[gift].members;
        let number = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        lines.last_mut().expect("it was just put in").number = number;
        let at = self.rows.len();
        let shipment = sent.map(|facts| self.shipments.join(facts.number.to_string(), facts, at));
        let place = self.place(row);
        self.rows.push(MappedRow { at: place, gift, line: number, quantity, shipment });
        Ok(())
    }

    fn recipient(&self, row: &Row) -> Result<Option<(Handle, PlannedParty)>, Fault> {
        let Some(map) = &self.map.recipient else { return Ok(None) };
        let name: Text<200> = self.text(row, "recipient", &map.name)?;
        if name.is_empty() {
            return Ok(None);
        }
        let handle = handle_from(&self.fill(row, &map.handle));
        let place = self.text(row, "recipient", &map.place)?;
        let found = name.to_string();
        let particulars = Particulars { name, identifier: Text::default(), place };
        let roles = List::new(vec![Role::Recipient]).expect("one role is no duplicate");
        let party = PlannedParty { kind: PartyKind::Organisation, roles, particulars };
        let signs = self.map.party.iter().any(|party| party.handle == handle);
        if signs || self.parties.get(&handle).is_some_and(|known| *known != party) {
            return Err(Fault { code: "import/handle-taken", field: "recipient", found });
        }
        Ok(Some((handle, party)))
    }

    fn line(&self, row: &Row, map: &LineMap, recipient: Option<&Handle>) -> Result<Line, Fault> {
        let quantity = self.whole(row, "quantity", &map.quantity)?;
        let share = recipient.map(|handle| Share { recipient: handle.clone(), quantity });
        let pack = match &map.pack {
            Some(pack) if !self.fill(row, &pack.content).is_empty() => Some(Pack {
                content: self.whole(row, "pack", &pack.content)?,
                unit: self.text(row, "pack", &pack.unit)?,
            }),
            _ => None,
        };
        let line = Line {
            number: 1,
            item: self.text(row, "item", &map.item)?,
            category: self.text(row, "category", &map.category)?,
            unit: self.text(row, "unit", &map.unit)?,
            pack,
            quantity,
            shares: List::new(share.into_iter().collect()).expect("one share is no duplicate"),
            lots: List::default(),
            maker: self.text(row, "maker", &map.maker)?,
            product_code: Text::default(),
            registration: Text::default(),
            standard: self.text(row, "standard", &map.standard)?,
            serials: List::default(),
            storage: Text::default(),
            specification: self.text(row, "specification", &map.specification)?,
            value: match &map.value {
                Some(value) => self.value(row, value)?,
                None => None,
            },
        };
        line.check().map_err(|m| Fault { code: m.code, field: "line", found: String::new() })?;
        Ok(line)
    }

    fn shipment(
        &self,
        row: &Row,
        map: &ShipmentMap,
        recipient: &Handle,
    ) -> Result<Option<ShipmentFacts>, Fault> {
        let number: Text<40> = self.text(row, "shipment", &map.number)?;
        if number.is_empty() {
            return Ok(None);
        }
        Ok(Some(ShipmentFacts {
            number,
            recipient: recipient.clone(),
            waybill: self.text(row, "waybill", &map.waybill)?,
            carrier: self.text(row, "carrier", &map.carrier)?,
            dispatched_on: self.date(row, "dispatched", &map.dispatched)?,
            delivered_on: self.date(row, "delivered", &map.delivered)?,
            received_on: self.date(row, "received", &map.received)?,
            place: self.text(row, "place", &map.place)?,
            documents: self.documents(row, &map.documents)?,
        }))
    }

    fn take_listed(&mut self, row: &Row, map: &PublicationMap) -> Result<(), Fault> {
        let facts = PublicationFacts {
            text: self.text(row, "text", &map.text)?,
            url: self.text(row, "url", &map.url)?,
            on: self.date(row, "date", &map.date)?,
            recipient: self.text(row, "recipient", &map.recipient)?,
            documents: self.documents(row, &map.documents)?,
        };
        let number = self.whole(row, "row", &map.row)?;
        let too_large =
            || Fault { code: "quantity/too-large", field: "row", found: number.to_string() };
        let listed = Listed {
            row: u32::try_from(number).map_err(|_| too_large())?,
            item: self.text(row, "item", &map.item)?,
            quantity: self.whole(row, "quantity", &map.quantity)?,
            unit: self.text(row, "unit", &map.unit)?,
        };
        let key = self.fill(row, &map.group);
        if !self.publications.fits(&key, &facts) {
            return Err(Fault { code: "import/publication-differs", field: "text", found: key });
        }
        let place = self.place(row);
        self.publications.join(key, facts, (place, listed));
        Ok(())
    }

    fn text<const MAX: usize>(
        &self,
        row: &Row,
        field: &'static str,
        template: &Template,
    ) -> Result<Text<MAX>, Fault> {
        let found = self.fill(row, template);
        Text::new(found.clone()).map_err(|Malformed { code }| Fault { code, field, found })
    }

    fn date(
        &self,
        row: &Row,
        field: &'static str,
        template: &Template,
    ) -> Result<Option<Date>, Fault> {
        let found = self.fill(row, template);
        if found.is_empty() {
            return Ok(None);
        }
        let date = found.parse().map_err(|Malformed { code }| Fault { code, field, found });
        date.map(Some)
    }

    fn whole(&self, row: &Row, field: &'static str, template: &Template) -> Result<u64, Fault> {
        let found = self.fill(row, template);
        let code = match found.parse::<u64>() {
            Ok(0) => "quantity/zero",
            Ok(number) if number <= QUANTITY_MAX => return Ok(number),
            Ok(_) => "quantity/too-large",
            Err(_) if found.is_empty() => "import/no-quantity",
            Err(_) => "import/no-whole-number",
        };
        Err(Fault { code, field, found })
    }

    fn value(&self, row: &Row, map: &ValueMap) -> Result<Option<Value>, Fault> {
        let found = self.fill(row, &map.amount);
        if found.is_empty() {
            return Ok(None);
        }
        let fault = || Fault { code: "import/no-amount", field: "value", found: found.clone() };
        let cents = cents(&found).ok_or_else(fault)?;
        let currency = self.text(row, "value", &map.currency)?;
        Ok(Some(Value { cents, currency, basis: map.basis }))
    }

    fn documents(&self, row: &Row, maps: &[DocumentMap]) -> Result<Vec<Document>, Fault> {
        let mut documents = Vec::new();
        for map in maps {
            let number: Text<80> = self.text(row, "documents", &map.number)?;
            if !number.is_empty() {
                documents.push(Document { kind: map.kind, number, sha256: None });
            }
        }
        Ok(documents)
    }

    pub(super) fn finish(mut self, source: PlannedSource) -> Plan {
        let mut plan = Plan {
            source,
            parties: BTreeMap::new(),
            steps: Vec::new(),
            row_count: self.table.row_count(),
            refused: Vec::new(),
        };
        let gifts = self.plan_gifts();
        let shipments = self.plan_shipments();
        self.order(gifts, shipments, &mut plan);
        self.plan_publications(&mut plan);
        self.plan_signers();
        self.refused.sort_by_key(|refused| refused.line);
        plan.parties = self.parties;
        plan.refused = self.refused;
        plan
    }

    /// One gift a group; `None` where its rows do not fit into one event.
    fn plan_gifts(&mut self) -> Vec<Option<PlannedGift>> {
        let Some(map) = &self.map.gift else { return Vec::new() };
        let groups = std::mem::take(&mut self.gifts.groups);
        let mut gifts = Vec::with_capacity(groups.len());
        for (at, Group { facts, members }) in groups.into_iter().enumerate() {
            let gift = List::new(members).and_then(|lines| {
                let donation = Donation {
                    donor: Donor {
                        kind: DonorKind::Recorded,
                        party: None,
                        key: None,
                        name: facts.donor,
                    },
                    mark: None,
                    taker: Some(map.taker.clone()),
                    lines,
                    standing_consent: false,
                    purpose: facts.purpose,
                    channel: facts.channel,
                    campaign: facts.campaign,
                    part: None,
                    deadline: facts.deadline,
                    historic: true,
                    restates: facts.restates,
                    commitments: List::default(),
                };
                let statement = Statement::from(donation.clone());
                if statement.to_bytes().len() > DONATION_LEN_MAX {
                    return Err(Malformed::new("event/too-large"));
                }
                Ok(PlannedGift { donation, on: facts.on, documents: facts.documents })
            });
            match gift {
                Ok(gift) => gifts.push(Some(gift)),
                Err(Malformed { code }) => {
                    gifts.push(None);
                    self.refuse_rows(|row| row.gift == at, code);
                }
            }
        }
        gifts
    }

    fn refuse_rows(&mut self, wanted: impl Fn(&MappedRow) -> bool, code: &'static str) {
        let places: Vec<RowPlace> =
            self.rows.iter().filter(|row| wanted(row)).map(|row| row.at.clone()).collect();
        for place in places {
            self.refuse_at(place, Fault { code, field: "gift", found: String::new() });
        }
    }

    fn plan_shipments(&mut self) -> Vec<PlannedShipment> {
        let (Some(map), Some(gift)) = (&self.map.shipment, &self.map.gift) else {
            return Vec::new();
        };
        let plan = |Group { facts, .. }: Group<ShipmentFacts, usize>| PlannedShipment {
            dispatch: Dispatch {
                shipment: ShipmentId { giver: gift.taker.clone(), number: facts.number },
                taker: facts.recipient,
                purpose: map.purpose,
                carrier: None,
                carrier_name: facts.carrier,
                waybill: facts.waybill,
                package_count: None,
                packages: List::default(),
                expected_on: None,
                portions: List::default(),
            },
            parcels: Vec::new(),
            dispatched_on: facts.dispatched_on,
            delivered_on: facts.delivered_on,
            place: facts.place,
            received_on: facts.received_on,
            documents: facts.documents,
        };
        std::mem::take(&mut self.shipments.groups).into_iter().map(plan).collect()
    }

    /// Every gift where its first row stands; every shipment after its last row.
    fn order(
        &mut self,
        mut gifts: Vec<Option<PlannedGift>>,
        mut shipments: Vec<PlannedShipment>,
        plan: &mut Plan,
    ) {
        let last: HashMap<usize, usize> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((row.shipment?, at)))
            .collect();
        let mut steps: HashMap<usize, usize> = HashMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            if let Some(gift) = gifts[row.gift].take() {
                steps.insert(row.gift, plan.steps.len());
                plan.steps.push(Step::Gift(gift));
            }
            let Some(shipment) = row.shipment else { continue };
            if let Some(gift) = steps.get(&row.gift) {
                let parcel = Parcel { gift: *gift, line: row.line, quantity: row.quantity };
                shipments[shipment].parcels.push(parcel);
            }
            if last[&shipment] == at && !shipments[shipment].parcels.is_empty() {
                plan.steps.push(Step::Shipment(shipments[shipment].clone()));
            }
        }
    }

    fn plan_publications(&mut self, plan: &mut Plan) {
        let Some(map) = &self.map.publication else { return };
        for Group { facts, members } in std::mem::take(&mut self.publications.groups) {
            let (places, listed): (Vec<RowPlace>, Vec<Listed>) = members.into_iter().unzip();
            match List::new(listed) {
                Ok(listed) => {
                    let attestation = Attestation {
                        evidence: map.evidence,
                        text: facts.text,
                        url: facts.url,
                        from: facts.on,
                        until: facts.on,
                        held_by: None,
                        recipient_name: facts.recipient,
                        shipment: None,
                        goods: List::default(),
                        listed,
                    };
                    plan.steps.push(Step::Publication(PlannedPublication {
                        speaker: map.speaker.clone(),
                        attestation,
                        on: facts.on,
                        documents: facts.documents,
                    }));
                }
                Err(Malformed { code }) => {
                    for place in places {
                        let fault = Fault { code, field: "row", found: String::new() };
                        self.refuse_at(place, fault);
                    }
                }
            }
        }
    }

    fn plan_signers(&mut self) {
        for party in &self.map.party {
            let planned = party.planned();
            self.parties.insert(party.handle.clone(), planned);
        }
    }
}

/// Hundredths, from a decimal number with at most two places.
fn cents(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 2 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal_numbers_with_two_places() {
        let amounts = ["127360.8", "551", "6.25", "0", "1.234", "-1", ".5", "1e3", ""];
        let expected =
            [Some(12_736_080), Some(55_100), Some(625), Some(0), None, None, None, None, None];
        assert_eq!(amounts.map(cents), expected);
    }
}
