//! What the demonstration's parties do again and again: give, send, report, receive.

use crate::model::draft::Draft;
use crate::model::encoding::List;
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::ident::ShipmentId;
use crate::model::text::Text;

use super::DemoError;
use super::stage::{By, Stage, handle};

/// So much of a unit, with shares of final recipients.
pub fn line(
    number: u16,
    item: &str,
    quantity: u64,
    unit: &str,
    shares: &[(&str, u64)],
) -> Result<Line, DemoError> {
    let share = |(recipient, quantity): &(&str, u64)| {
        let recipient = handle(recipient);
        Share { recipient, quantity: *quantity }
    };
    Ok(Line {
        number,
        item: Text::new(item)?,
        category: Text::default(),
        unit: Text::new(unit)?,
        pack: None,
        quantity,
        shares: List::new(shares.iter().map(share).collect())?,
        lots: List::default(),
        maker: Text::default(),
        product_code: Text::default(),
        registration: Text::default(),
        standard: Text::default(),
        serials: List::default(),
        storage: Text::default(),
        specification: Text::default(),
        value: None,
    })
}

/// A donor of a kind, with its party and key.
pub fn donor(
    kind: DonorKind,
    party: Option<&str>,
    key: Option<crate::model::ident::KeyBytes>,
    name: &str,
) -> Result<Donor, DemoError> {
    Ok(Donor { kind, party: party.map(handle), key, name: Text::new(name)? })
}

/// A donation of these lines.
pub fn donation(
    donor: Donor,
    taker: Option<&str>,
    lines: Vec<Line>,
    purpose: &str,
) -> Result<Donation, DemoError> {
    Ok(Donation {
        donor,
        mark: None,
        taker: taker.map(handle),
        lines: List::new(lines)?,
        standing_consent: false,
        purpose: Text::new(purpose)?,
        channel: Text::default(),
        campaign: Text::default(),
        part: None,
        deadline: None,
        historic: false,
        restates: Text::default(),
        commitments: List::default(),
    })
}

/// So many stated units of a gift's line.
pub fn portion(gift: EventHash, line: u16, meant_for: Option<&str>, quantity: u64) -> Portion {
    let meant_for = meant_for.map(handle);
    Portion::new(Goods { gift, line, unit: UnitChoice::Stated, meant_for }, quantity)
}

/// Accepted, pending, damaged, rejected, surplus.
pub fn arrival(
    sent: &Portion,
    [accepted, pending, damaged, rejected, surplus]: [u64; 5],
) -> Arrival {
    let goods = sent.goods.clone();
    Arrival { goods, accepted, pending, damaged, rejected, surplus, actual: None }
}

/// Everything that was sent, accepted.
pub fn all_accepted(sent: &[Portion]) -> Vec<Arrival> {
    sent.iter().map(|portion| arrival(portion, [portion.quantity, 0, 0, 0, 0])).collect()
}

/// A shipment: its number, from whom, to whom.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// The sender's number.
    pub number: &'a str,
    /// Who sends.
    pub from: &'a str,
    /// To whom.
    pub to: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// The carrier that signs for it, if one does.
    pub carrier: Option<&'a str>,
}

impl<'a> Leg<'a> {
    fn id(&self) -> Result<ShipmentId, DemoError> {
        Ok(ShipmentId { giver: handle(self.from), number: Text::new(self.number)? })
    }

    /// Who says that it arrived: the carrier that signed, else the sender.
    fn reporter(&self) -> By<'a> {
        match self.carrier {
            Some(carrier) => By::Party(Capacity::Carrier, carrier),
            None => By::Party(Capacity::Holder, self.from),
        }
    }
}

impl Stage {
    /// The goods leave their holder.
    ///
    /// # Errors
    /// Where the event is malformed; as all moves.
    pub fn send(&mut self, leg: &Leg, goods: &[Portion]) -> Result<EventHash, DemoError> {
        let dispatch = Dispatch {
            shipment: leg.id()?,
            taker: handle(leg.to),
            purpose: leg.purpose,
            carrier: leg.carrier.map(handle),
            carrier_name: Text::default(),
            waybill: Text::default(),
            package_count: None,
            packages: List::default(),
            expected_on: None,
            portions: List::new(goods.to_vec())?,
        };
        let mut by = vec![By::Party(Capacity::Holder, leg.from)];
        by.extend(leg.carrier.map(|carrier| By::Party(Capacity::Carrier, carrier)));
        self.say(dispatch, &by)
    }

    /// Carrier or sender say that it arrived.
    pub fn report_delivered(&mut self, leg: &Leg) -> Result<EventHash, DemoError> {
        let (shipment, empty) = (leg.id()?, Text::default());
        let delivery =
            Delivery { shipment, place: Text::default(), waybill: empty, time: Text::default() };
        self.say(delivery, &[leg.reporter()])
    }

    /// A receipt that closes the shipment, not yet signed.
    pub fn receipt(&mut self, leg: &Leg, arrivals: Vec<Arrival>) -> Result<Draft, DemoError> {
        let receipt = Receipt {
            shipment: Some(leg.id()?),
            giver: None,
            purpose: None,
            closing: true,
            package_count: None,
            temperature: Text::default(),
            arrivals: List::new(arrivals)?,
        };
        Ok(self.draft(receipt))
    }

    /// The taker signs for what arrived, and closes the shipment.
    pub fn receive(&mut self, leg: &Leg, arrivals: Vec<Arrival>) -> Result<EventHash, DemoError> {
        let draft = self.receipt(leg, arrivals)?;
        self.sign(draft, &[By::Party(Capacity::Taker, leg.to)])
    }

    /// Sent, reported as delivered and accepted in full on one day.
    pub fn bring(&mut self, leg: &Leg, goods: &[Portion]) -> Result<(), DemoError> {
        self.send(leg, goods)?;
        self.report_delivered(leg)?;
        self.receive(leg, all_accepted(goods)).map(|_| ())
    }
}
