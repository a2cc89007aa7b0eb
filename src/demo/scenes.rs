//! Act 2, second part: what can go wrong, on goods of the published lists, between invented
//! parties only.
//!
//! Every party here says in its name that it is invented, and every gift in its purpose.

use crate::model::encoding::{Blob, List};
use crate::model::event::*;
use crate::model::hash::{EventHash, document_hash};
use crate::model::text::Text;

use super::DemoError;
use super::journeys::CARRIER;
use super::moves::{Leg, all_accepted, arrival, donation, donor, line, portion};
use super::stage::{By, REGISTRARS, Stage, handle};

const DONOR: &str = "demo-donor";
const CHARITY: &str = "demo-charity";
const WAREHOUSE: &str = "demo-warehouse";
const HOSPITAL: &str = "demo-hospital";
/// Its key gets into wrong hands.
const CLINIC: &str = "demo-clinic";
/// Vouched for by one registrar only.
const TENT: &str = "demo-tent-hospital";
/// Loses its key.
const BURNT: &str = "demo-county-hospital";
const MAKER: &str = "demo-maker";
const PURPOSE: &str = "invented for the demonstration 演示虚构";

/// Something that went wrong, or at least not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The word by which the texts know it.
    pub word: &'static str,
    /// The gift.
    pub gift: EventHash,
}

/// Plays all scenes.
///
/// # Errors
/// Those of the writer.
pub fn play(stage: &mut Stage) -> Result<Vec<Scene>, DemoError> {
    stage.wait(1)?;
    enrol(stage)?;
    type Play = fn(&mut Stage) -> Result<EventHash, DemoError>;
    let scenes: [(&'static str, Play); 23] = [
        ("short-and-damaged", short_and_damaged),
        ("rejected", rejected),
        ("wet-carton", wet_carton),
        ("warehouse-short", warehouse_short),
        ("surplus", surplus),
        ("late", late),
        ("early-receipt", early_receipt),
        ("claimed", claimed),
        ("paper", paper),
        ("overdue", overdue),
        ("with-consent", with_consent),
        ("without-consent", without_consent),
        ("announced", announced),
        ("withdrawn", withdrawn),
        ("lost", lost),
        ("expired", expired),
        ("alone", alone),
        ("pooled", pooled),
        ("lowered", lowered),
        ("recalled", recalled),
        ("provisional", provisional),
        ("recovered", recovered),
        ("another-unit", another_unit),
    ];
    let mut played = Vec::new();
    for (word, scene) in scenes {
        let gift = scene(stage)?;
        stage.record()?;
        played.push(Scene { word, gift });
    }
    // Time passes, so that clocks run out for what is still open.
    stage.wait(1)?;
    need(stage)?;
    stage.record()?;
    Ok(played)
}

fn enrol(stage: &mut Stage) -> Result<(), DemoError> {
    let invented = |english: &str, chinese: &str| format!("{english} {chinese} (invented 虚构)");
    let parties = [
        (DONOR, invented("Demo Donor", "演示捐赠方"), Role::Donor, 0),
        (CHARITY, invented("Demo Charity", "演示慈善组织"), Role::Charity, 2),
        (WAREHOUSE, invented("Demo Warehouse", "演示仓库"), Role::Warehouse, 2),
        (HOSPITAL, invented("Demo Hospital", "演示医院"), Role::Recipient, 2),
        (CLINIC, invented("Demo Clinic", "演示诊所"), Role::Recipient, 2),
        (TENT, invented("Demo Tent Hospital", "演示方舱医院"), Role::Recipient, 1),
        (BURNT, invented("Demo County Hospital", "演示县医院"), Role::Recipient, 2),
        (MAKER, invented("Demo Maker", "演示生产企业"), Role::Maker, 2),
    ];
    for (name, legal_name, role, registrars) in parties {
        stage.enrol(name, &legal_name, "", role, registrars)?;
    }
    stage.record()
}

/// A gift of the invented donor to the invented charity, signed by both.
fn given(
    stage: &mut Stage,
    goods: (&str, u64, &str),
    recipient: Option<&str>,
) -> Result<EventHash, DemoError> {
    let statement = offer(goods, recipient)?;
    stage.say(statement, &[DONOR_SIGNS, CHARITY_TAKES])
}

const DONOR_SIGNS: By = By::Party(Capacity::Donor, DONOR);
const CHARITY_TAKES: By = By::Party(Capacity::Taker, CHARITY);
const CHARITY_HOLDS: By = By::Party(Capacity::Holder, CHARITY);

fn offer(
    (item, quantity, unit): (&str, u64, &str),
    recipient: Option<&str>,
) -> Result<Donation, DemoError> {
    let shares: Vec<(&str, u64)> = recipient.map(|name| (name, quantity)).into_iter().collect();
    let lines = vec![line(1, item, quantity, unit, &shares)?];
    let donor = donor(DonorKind::Enrolled, Some(DONOR), None, "")?;
    donation(donor, Some(CHARITY), lines, PURPOSE)
}

/// From the charity to a recipient, with a carrier that signs.
fn leg<'a>(number: &'a str, to: &'a str) -> Leg<'a> {
    Leg { number, from: CHARITY, to, purpose: Purpose::Issue, carrier: Some(CARRIER) }
}

/// Given, sent and reported as delivered to its recipient the day after.
fn delivered(stage: &mut Stage, leg: &Leg, goods: (&str, u64, &str)) -> Result<Portion, DemoError> {
    let gift = given(stage, goods, Some(leg.to))?;
    let sent = portion(gift, 1, Some(leg.to), goods.1);
    stage.send(leg, std::slice::from_ref(&sent))?;
    stage.wait(1)?;
    stage.report_delivered(leg)?;
    Ok(sent)
}

fn short_and_damaged(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("SHORT", HOSPITAL);
    let sent = delivered(stage, &leg, ("医用外科口罩", 1_000, "个"))?;
    stage.receive(&leg, vec![arrival(&sent, [950, 0, 20, 0, 0])])?;
    Ok(sent.goods.gift)
}

fn rejected(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("REJECTED", HOSPITAL);
    let sent = delivered(stage, &leg, ("护目镜", 200, "个"))?;
    let mut draft = stage.receipt(&leg, vec![arrival(&sent, [150, 0, 0, 50, 0])])?;
    let text = Text::new("no registration certificate 无注册证")?;
    draft.reason = Some(Reason { code: ReasonCode::Standard, text });
    stage.sign(draft, &[By::Party(Capacity::Taker, HOSPITAL)])?;
    Ok(sent.goods.gift)
}

fn wet_carton(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("WET", HOSPITAL);
    let sent = delivered(stage, &leg, ("医用防护服", 50, "套"))?;
    let mut draft = stage.receipt(&leg, vec![arrival(&sent, [0, 50, 0, 0, 0])])?;
    let text = Text::new("wet carton 纸箱浸湿")?;
    draft.reason = Some(Reason { code: ReasonCode::Packing, text });
    stage.sign(draft, &[By::Party(Capacity::Taker, HOSPITAL)])?;
    Ok(sent.goods.gift)
}

fn warehouse_short(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("84消毒液", 200, "瓶"), Some(HOSPITAL))?;
    let meant_for = Some(HOSPITAL);
    let (to, purpose) = (WAREHOUSE, Purpose::Transfer);
    let inward = Leg { number: "IN", from: CHARITY, to, purpose, carrier: Some(CARRIER) };
    let sent = portion(gift, 1, meant_for, 200);
    stage.send(&inward, std::slice::from_ref(&sent))?;
    stage.wait(1)?;
    stage.report_delivered(&inward)?;
    stage.receive(&inward, vec![arrival(&sent, [180, 0, 0, 0, 0])])?;
    let (from, purpose) = (WAREHOUSE, Purpose::Issue);
    let outward = Leg { number: "OUT", from, to: HOSPITAL, purpose, carrier: Some(CARRIER) };
    stage.bring(&outward, &[portion(gift, 1, meant_for, 180)])?;
    Ok(gift)
}

fn surplus(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("SURPLUS", HOSPITAL);
    let sent = delivered(stage, &leg, ("一次性手术服", 300, "件"))?;
    stage.receive(&leg, vec![arrival(&sent, [300, 0, 0, 0, 5])])?;
    let ward = Text::new("emergency 急诊科")?;
    let portions = List::new(vec![portion(sent.goods.gift, 1, Some(HOSPITAL), 40)])?;
    let used = Use { ward, purpose: Text::new("triage 预检分诊")?, portions };
    stage.say(used, &[By::Party(Capacity::Holder, HOSPITAL)])?;
    Ok(sent.goods.gift)
}

/// Past its own deadline; entered, and signed for, later than the clocks allow.
fn late(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let mut statement = offer(("检查手套", 40, "箱"), Some(HOSPITAL))?;
    statement.deadline = Some(stage.today());
    let draft = stage.draft(statement).on(stage.days_ago(8));
    let gift = stage.sign(draft, &[DONOR_SIGNS, CHARITY_TAKES])?;
    let (leg, sent) = (leg("LATE", HOSPITAL), portion(gift, 1, Some(HOSPITAL), 40));
    stage.send(&leg, std::slice::from_ref(&sent))?;
    stage.wait(2)?;
    stage.report_delivered(&leg)?;
    stage.wait(5)?;
    stage.receive(&leg, all_accepted(&[sent]))?;
    Ok(gift)
}

/// The receipt is dated before the delivery, and entered a week later.
fn early_receipt(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("EARLY", HOSPITAL);
    let sent = delivered(stage, &leg, ("洗手液", 60, "箱"))?;
    let yesterday = stage.days_ago(1);
    stage.wait(7)?;
    let draft = stage.receipt(&leg, all_accepted(std::slice::from_ref(&sent)))?.on(yesterday);
    stage.sign(draft, &[By::Party(Capacity::Taker, HOSPITAL)])?;
    Ok(sent.goods.gift)
}

/// The carrier says that it arrived; nobody at the hospital signs.
fn claimed(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let sent = delivered(stage, &leg("CLAIMED", HOSPITAL), ("KN95口罩", 500, "个"))?;
    Ok(sent.goods.gift)
}

/// Signed on paper only.
fn paper(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let leg = leg("PAPER", HOSPITAL);
    let gift = given(stage, ("一次性口罩", 800, "个"), Some(HOSPITAL))?;
    let sent = portion(gift, 1, Some(HOSPITAL), 800);
    stage.send(&leg, std::slice::from_ref(&sent))?;
    stage.wait(1)?;
    let attestation = Attestation {
        evidence: EvidenceKind::PaperReceipt,
        text: Text::new("stamped receipt 盖章收据")?,
        url: Text::default(),
        from: None,
        until: None,
        held_by: Some(handle(CHARITY)),
        recipient_name: Text::new("Demo Hospital 演示医院")?,
        shipment: None,
        goods: List::new(vec![Testimony { goods: sent.goods, quantity: 800 }])?,
        listed: List::default(),
    };
    let mut draft = stage.draft(attestation);
    let (number, scan) = (Text::new("R-0800")?, document_hash(b"an invented scan of a receipt"));
    draft.documents =
        vec![Document { kind: DocumentKind::PaperReceipt, number, sha256: Some(scan) }];
    stage.sign(draft, &[By::Party(Capacity::Speaker, CHARITY)])?;
    Ok(gift)
}

/// Sent, and not heard of again. Somebody else signs for it.
fn overdue(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let mut statement = offer(("抗病毒口服液", 120, "箱"), Some(HOSPITAL))?;
    statement.deadline = Some(stage.today().plus_days(3));
    let gift = stage.say(statement, &[DONOR_SIGNS, CHARITY_TAKES])?;
    let (leg, sent) = (leg("OVERDUE", HOSPITAL), portion(gift, 1, Some(HOSPITAL), 120));
    stage.send(&leg, std::slice::from_ref(&sent))?;
    stage.wait(1)?;
    let draft = stage.receipt(&leg, all_accepted(&[sent]))?;
    stage.sign(draft, &[By::Party(Capacity::Taker, CLINIC)])?;
    Ok(gift)
}

fn redirect(
    stage: &mut Stage,
    gift: EventHash,
    quantity: u64,
    consent: Consent,
) -> Result<(), DemoError> {
    let goods = portion(gift, 1, Some(HOSPITAL), quantity).goods;
    let designation = Designation {
        holder: handle(CHARITY),
        order: None,
        decided_by: Text::new("Demo Headquarters 演示指挥部 (invented 虚构)")?,
        decision: Text::new("DHQ-7")?,
        consent,
        assignments: List::new(vec![Assignment { goods, recipient: handle(CLINIC), quantity }])?,
    };
    let mut by = vec![CHARITY_HOLDS];
    if consent == Consent::Signed {
        by.push(DONOR_SIGNS);
    }
    stage.say(designation, &by).map(|_| ())
}

fn with_consent(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("彩色超声诊断仪", 2, "台"), Some(HOSPITAL))?;
    redirect(stage, gift, 2, Consent::Signed)?;
    stage.wait(1)?;
    stage.bring(&leg("CONSENT", CLINIC), &[portion(gift, 1, Some(CLINIC), 2)])?;
    Ok(gift)
}

fn without_consent(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("照明车", 4, "台"), Some(HOSPITAL))?;
    redirect(stage, gift, 4, Consent::None)?;
    Ok(gift)
}

/// Signed by the donor alone.
fn announced(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let statement = offer(("测温仪", 30, "台"), Some(HOSPITAL))?;
    stage.say(statement, &[DONOR_SIGNS])
}

fn withdrawn(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let statement = offer(("担架", 10, "副"), Some(HOSPITAL))?;
    let gift = stage.say(statement, &[DONOR_SIGNS])?;
    let portions = List::new(vec![portion(gift, 1, Some(HOSPITAL), 10)])?;
    stage.wait(1)?;
    stage.say(Withdrawal { portions }, &[DONOR_SIGNS])?;
    Ok(gift)
}

fn dispose(stage: &mut Stage, sent: Portion, fate: Fate) -> Result<(), DemoError> {
    let condition = Condition::Good;
    let portions = List::new(vec![sent])?;
    let disposal = Disposal { fate, condition, to: Text::default(), proceeds: None, portions };
    stage.say(disposal, &[CHARITY_HOLDS]).map(|_| ())
}

fn lost(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("酒精", 90, "桶"), Some(HOSPITAL))?;
    stage.wait(1)?;
    dispose(stage, portion(gift, 1, Some(HOSPITAL), 90), Fate::Lost)?;
    Ok(gift)
}

fn expired(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("双黄连口服液", 70, "盒"), Some(HOSPITAL))?;
    stage.wait(1)?;
    dispose(stage, portion(gift, 1, Some(HOSPITAL), 70), Fate::Expired)?;
    Ok(gift)
}

/// The hospital records a gift to itself; nobody else signs.
fn alone(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let lines = vec![line(1, "呼吸机", 3, "台", &[(HOSPITAL, 3)])?];
    let donor = donor(DonorKind::Recorded, None, None, "")?;
    let statement = donation(donor, Some(HOSPITAL), lines, PURPOSE)?;
    stage.say(statement, &[By::Party(Capacity::Taker, HOSPITAL)])
}

/// For nobody in particular; the donor has a slip, and has not made a key of its own.
fn pooled(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let slip = "demo-slip";
    let donor = donor(DonorKind::Slip, Some(CHARITY), Some(stage.key(slip)), "")?;
    let lines = vec![line(1, "方便面", 25, "箱", &[])?];
    let statement = donation(donor, Some(CHARITY), lines, PURPOSE)?;
    stage.say(statement, &[By::Key(Capacity::Donor, slip), CHARITY_TAKES])
}

/// The charity wrote 600, and says later that it was 500; the donor is not asked.
fn lowered(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let recorded = |quantity| {
        let lines = vec![line(1, "医用口罩", quantity, "个", &[])?];
        let donor = donor(DonorKind::Recorded, None, None, "Demo Walk-in 演示捐赠人")?;
        donation(donor, Some(CHARITY), lines, PURPOSE)
    };
    let gift = stage.say(recorded(600)?, &[CHARITY_TAKES])?;
    stage.wait(1)?;
    let target_index = stage.with_state(|state| {
        state.gifts.get(&gift).expect("the donation has been recorded").entries[0]
    });
    let correction = Correction {
        target_index,
        target: gift,
        target_kind: Kind::Donation as u16,
        replacement: Blob::new(Statement::from(recorded(500)?).to_bytes())?,
    };
    let mut draft = stage.draft(correction);
    let text = Text::new("counted again 重新清点")?;
    draft.reason = Some(Reason { code: ReasonCode::Quantity, text });
    stage.sign(draft, &[CHARITY_TAKES])?;
    Ok(gift)
}

fn recalled(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let (item, lot) = ("注射用阿奇霉素", Text::new("20200101-A")?);
    let mut statement = offer((item, 150, "支"), Some(HOSPITAL))?;
    let mut line = statement.lines[0].clone();
    line.lots = List::new(vec![Lot { number: lot.clone(), expires_on: None }])?;
    statement.lines = List::new(vec![line])?;
    let gift = stage.say(statement, &[DONOR_SIGNS, CHARITY_TAKES])?;
    stage.wait(1)?;
    let text = Text::new("invented recall 虚构召回")?;
    let recall = Recall { item: Text::new(item)?, lot, number: Text::new("RC-1")?, text };
    stage.say(recall, &[By::Party(Capacity::Speaker, MAKER)])?;
    let portions = List::new(vec![portion(gift, 1, Some(HOSPITAL), 150)])?;
    let authority = Text::new("Demo Maker 演示生产企业")?;
    stage.say(Hold { cause: HoldCause::Recall, authority, portions }, &[CHARITY_HOLDS])?;
    Ok(gift)
}

/// A tent hospital on its first day: one registrar vouches.
fn provisional(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("病床", 80, "张"), Some(TENT))?;
    stage.wait(1)?;
    stage.bring(&leg("TENT", TENT), &[portion(gift, 1, Some(TENT), 80)])?;
    Ok(gift)
}

/// A hospital whose key is lost gets another on the registrars' word.
fn recovered(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let renewed = "demo-county-hospital renewed";
    let (old, new) = (stage.key(BURNT), stage.key(renewed));
    let mut by = vec![By::With(Capacity::NewKey, BURNT, renewed)];
    by.extend(REGISTRARS[..2].iter().map(|name| By::Party(Capacity::Registrar, name)));
    stage.say(KeyRotated { handle: handle(BURNT), old, new }, &by)?;
    let leg = leg("RECOVERED", BURNT);
    let sent = delivered(stage, &leg, ("制氧机", 6, "台"))?;
    let draft = stage.receipt(&leg, all_accepted(std::slice::from_ref(&sent)))?;
    stage.sign(draft, &[By::With(Capacity::Taker, BURNT, renewed)])?;
    Ok(sent.goods.gift)
}

/// Meant for the hospital, issued to the clinic, whose key turns out to be in wrong hands. The
/// hospital objects, and the charity answers.
fn another_unit(stage: &mut Stage) -> Result<EventHash, DemoError> {
    let gift = given(stage, ("隔离衣", 400, "件"), Some(HOSPITAL))?;
    let since = stage.today();
    stage.wait(1)?;
    stage.bring(&leg("ANOTHER", CLINIC), &[portion(gift, 1, Some(HOSPITAL), 400)])?;
    stage.wait(1)?;
    let compromised = KeyCompromised { handle: handle(CLINIC), key: stage.key(CLINIC), since };
    let two = [0, 1].map(|at| By::Party(Capacity::Registrar, REGISTRARS[at]));
    stage.say(compromised, &two)?;
    let text = Text::new("these were meant for us 这批物资本应发给我院")?;
    let dispute = Dispute { gift, claim: Claim::Recipient, text };
    let dispute = stage.say(dispute, &[By::Party(Capacity::Speaker, HOSPITAL)])?;
    let text = Text::new("sent to the wrong address; under inquiry 发错地址，正在核查")?;
    stage.say(Answer { gift, dispute, text }, &[By::Party(Capacity::Speaker, CHARITY)])?;
    Ok(gift)
}

fn need(stage: &mut Stage) -> Result<(), DemoError> {
    let need = NeedDeclared {
        item: Text::new("医用防护服")?,
        standard: Text::new("GB 19082")?,
        quantity: Some(300),
        unit: Text::new("套")?,
        wanted_by: Some(stage.today().plus_days(7)),
    };
    stage.say(need, &[By::Party(Capacity::Recipient, HOSPITAL)]).map(|_| ())
}
