//! What the writer asks of an event before the rules do, without looking into the ledger.
//!
//! It is the first of the writer's two stages, a thread of its own: it reads what waits and checks
//! its signatures, many together and on all cores, while the sequencer makes durable what came
//! before. Some of it binds the gate only, never an auditor (spec section 6.5): normal form C, the
//! clock, and kinds that this build does not know.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use thiserror::Error;
use unicode_normalization::is_nfc;

use crate::model::date::{Date, UnixMs};
use crate::model::entry::{OpenEvent, SignedEvent};
use crate::model::event::Statement;
use crate::model::hash::LeafHash;
use crate::model::ident::KeyBytes;
use crate::model::key::{KeyFault, PublicKey};
use crate::model::signature::{Signature, SignatureFault, SignedMessage, verify, verify_batch};

use super::Refused;
use super::clock::Clock;
use super::queue::{BATCH, Job, Queues, Work};
use super::texts;

/// How far ahead of the writer's clock an event may have been signed, in milliseconds.
pub const SIGNED_AHEAD_MAX_MS: u64 = 10 * 60 * 1000;

/// The most checked keys that are remembered.
const KEYS_MAX: usize = 65_536;

/// The fewest events that are worth another thread.
const SHARE_MIN: usize = 32;

/// How many digits a mobile number of mainland China has, the fewest that are warned of.
const TELEPHONE_LEN: usize = 11;

/// Where a day begins first: so many minutes east of UTC.
const EASTERNMOST_MINUTES: i16 = 14 * 60;

/// Why the gate alone refuses an event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GateFault {
    /// `gate/unknown-kind`: a kind or version of statement that this build does not know.
    #[error("this version does not know events of kind {kind}, version {version}")]
    UnknownKind { kind: u16, version: u16 },
    /// `gate/not-nfc`: a text is not in Unicode normal form C.
    #[error("a text is not in Unicode normal form C: {text}")]
    NotNfc { text: String },
    /// `gate/signed-in-future`: signed later than the writer's clock allows.
    #[error("signed at {signed_at}, but it is {now}: a clock is wrong")]
    SignedInFuture { signed_at: UnixMs, now: UnixMs },
    /// `gate/occurred-in-future`: said to have happened on a day that has begun nowhere yet.
    #[error("it cannot have happened on {on}: that day has not begun anywhere")]
    OccurredInFuture { on: Date },
    /// `gate/no-reason`: a correction does not say why.
    #[error("a correction says why")]
    NoReason,
    /// `gate/too-many-subjects`: an entry cannot link so many gifts, parties and shipments.
    #[error("the event touches {count} gifts, parties and shipments: split it")]
    TooManySubjects { count: usize },
    /// `gate/entry-too-large`: its entry would be too long.
    #[error("the event's entry would have {len} bytes: split the event")]
    EntryTooLarge { len: usize },
    /// `gate/operator-key`: a new operator key comes only with its secret half, which signs the
    /// next checkpoint.
    #[error("the operator's key changes only together with the new secret key")]
    OperatorKey,
    /// `gate/seal-too-soon`: a seal that was asked for so soon after the newest one.
    #[error("the newest seal is not ten seconds old")]
    SealTooSoon,
}

impl GateFault {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "gate/unknown-kind",
            Self::NotNfc { .. } => "gate/not-nfc",
            Self::SignedInFuture { .. } => "gate/signed-in-future",
            Self::OccurredInFuture { .. } => "gate/occurred-in-future",
            Self::NoReason => "gate/no-reason",
            Self::TooManySubjects { .. } => "gate/too-many-subjects",
            Self::EntryTooLarge { .. } => "gate/entry-too-large",
            Self::OperatorKey => "gate/operator-key",
            Self::SealTooSoon => "gate/seal-too-soon",
        }
    }
}

/// What is amiss with a signer's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignerFault {
    /// The key is no valid public key.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The signature is not valid.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
}

/// Something that its signer may not have meant; the event is accepted all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// `warning/telephone`: looks like a mobile telephone number, and will be public for ever.
    Telephone { text: String },
    /// `warning/resident-id`: looks like a resident identity number, and will be public for ever.
    ResidentId { text: String },
}

impl Warning {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Telephone { .. } => "warning/telephone",
            Self::ResidentId { .. } => "warning/resident-id",
        }
    }
}

/// An event that has passed: parsed, and every signature valid.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) event: OpenEvent,
    /// A rule of the gate that it breaks. An event that is in the log already is not held to them:
    /// it may have come in under an older version.
    pub(super) fault: Option<GateFault>,
    pub(super) warnings: Vec<Warning>,
}

/// The gate of one ledger.
#[derive(Debug)]
pub(super) struct Gate {
    genesis: LeafHash,
    /// Keys that have been found valid, since the check costs as much as a signature.
    keys: RwLock<HashSet<PublicKey>>,
    /// How many threads check events together.
    threads: usize,
}

impl Gate {
    /// The gate of the ledger with this entry 0.
    pub(super) fn new(genesis: LeafHash) -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { genesis, keys: RwLock::default(), threads }
    }

    /// Works until no more comes.
    pub(super) fn run(&self, queues: &Arc<Queues>, clock: &Clock) {
        let _ends = EndsQueues(queues);
        while let Some(jobs) = queues.take_submitted() {
            let now = clock.now();
            let mut events = Vec::with_capacity(jobs.len());
            let mut rest = Vec::with_capacity(jobs.len());
            for Job { work, answer } in jobs {
                match work {
                    Work::Event(event, new_key) => {
                        events.push(event);
                        rest.push((Some(new_key), answer));
                    }
                    Work::Seal => rest.push((None, answer)),
                }
            }
            let mut checked = self.check_all(events, now).into_iter();
            let mut passed = Vec::with_capacity(rest.len());
            for (event, answer) in rest {
                let work = match event {
                    None => Ok(Work::Seal),
                    Some(new_key) => {
                        let checked = checked.next().expect("each event has its outcome");
                        checked.map(|checked| Work::Event(Box::new(checked), new_key))
                    }
                };
                match work {
                    Ok(work) => passed.push(Job { work, answer }),
                    Err(refused) => answer.give(Err(refused)),
                }
            }
            queues.pass(passed);
        }
    }

    /// Reads an event and checks its signatures.
    ///
    /// # Errors
    /// `Refused::Malformed`, `Refused::Signature`.
    pub(super) fn check(&self, event: SignedEvent, now: UnixMs) -> Result<Checked, Refused> {
        self.check_share(vec![event], now).pop().expect("each event has its outcome")
    }

    /// Checks events on all cores that are free; gives the outcomes in their order.
    ///
    /// In threads of its own: those of a shared pool may be waiting for the answers.
    fn check_all(&self, events: Vec<SignedEvent>, now: UnixMs) -> Vec<Result<Checked, Refused>> {
        // The larger a batch of signatures, the less each of them costs.
        // A full batch is taken while the sequencer works, and leaves a core to it.
        let left = usize::from(events.len() >= BATCH.events);
        let threads = self.threads.saturating_sub(left).max(1);
        let share = events.len().div_ceil(threads).max(SHARE_MIN);
        let mut events = events.into_iter();
        let first = events.by_ref().take(share).collect();
        thread::scope(|scope| {
            let mut others = Vec::new();
            while events.len() > 0 {
                let events = events.by_ref().take(share).collect();
                others.push(scope.spawn(|| self.check_share(events, now)));
            }
            let mut outcomes = self.check_share(first, now);
            for other in others {
                let joined = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                outcomes.extend(joined);
            }
            outcomes
        })
    }

    /// Checks events in this thread, their signatures together.
    fn check_share(&self, events: Vec<SignedEvent>, now: UnixMs) -> Vec<Result<Checked, Refused>> {
        let mut opened: Vec<Result<OpenEvent, Refused>> =
            events.into_iter().map(|event| Ok(event.open(&self.genesis)?)).collect();
        let messages: Vec<Vec<u8>> = opened
            .iter()
            .map(|event| match event {
                Ok(event) => event.signed.frame.signing_message(&self.genesis),
                Err(_) => Vec::new(),
            })
            .collect();
        // The signatures of all events, and of which event and at which position each is. None
        // comes after a key that is none.
        let (mut items, mut places) = (Vec::new(), Vec::new());
        for (number, (outcome, message)) in opened.iter_mut().zip(&messages).enumerate() {
            let Ok(event) = outcome else { continue };
            let signers = event.head.signers.iter().zip(&event.signed.signatures);
            let mut fault = None;
            for (position, (signer, bytes)) in signers.enumerate() {
                match self.public_key(&signer.key) {
                    Ok(key) => {
                        let signature = Signature::from_bytes(*bytes);
                        items.push(SignedMessage { message, key, signature });
                        places.push((number, position));
                    }
                    Err(error) => {
                        let (key, error) = (signer.key, error.into());
                        fault = Some(Refused::Signature { position, key, fault: error });
                        break;
                    }
                }
            }
            if let Some(refused) = fault {
                *outcome = Err(refused);
            }
        }
        // Backwards, so that of several faults of an event the first remains.
        for bad in verify_batch(&items, &mut rand::rng()).into_iter().rev() {
            let ((number, position), item) = (places[bad], &items[bad]);
            let fault = verify(item.message, &item.key, &item.signature)
                .expect_err("a batch finds bad what is bad alone")
                .into();
            let key = item.key.into();
            opened[number] = Err(Refused::Signature { position, key, fault });
        }
        opened.into_iter().map(|event| event.map(|event| judge(event, now))).collect()
    }

    fn public_key(&self, key: &KeyBytes) -> Result<PublicKey, KeyFault> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        if let Some(key) = known {
            return Ok(key);
        }
        let checked = key.check()?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(checked);
        Ok(checked)
    }
}

/// Nobody waits for ever: also when the gate ends by a panic, all are answered.
struct EndsQueues<'a>(&'a Queues);

impl Drop for EndsQueues<'_> {
    fn drop(&mut self) {
        self.0.close_gate();
    }
}

/// Adds to an event with valid signatures what the gate alone has to say of it.
fn judge(event: OpenEvent, now: UnixMs) -> Checked {
    // The new statement stands in a correction as bytes.
    let replacement = match &event.statement {
        Some(Statement::Correction(correction)) => correction.replacement().ok().flatten(),
        _ => None,
    };
    let (mut not_nfc, mut warnings) = (None, Vec::new());
    texts::visit(&(&event.head, &event.statement, replacement), |text| {
        // Of ASCII every text is in normal form, and most texts are of ASCII.
        if not_nfc.is_none() && !text.is_ascii() && !is_nfc(text) {
            not_nfc = Some(text.to_owned());
        }
        warnings.extend(warning(text));
    });
    let fault = fault(&event, not_nfc, now);
    Checked { event, fault, warnings }
}

fn fault(event: &OpenEvent, not_nfc: Option<String>, now: UnixMs) -> Option<GateFault> {
    if event.statement.is_none() {
        let (kind, version) = (event.signed.frame.kind, event.signed.frame.version);
        return Some(GateFault::UnknownKind { kind, version });
    }
    if let Some(text) = not_nfc {
        return Some(GateFault::NotNfc { text });
    }
    let signed_at = event.head.signed_at;
    if signed_at.0 > now.0.saturating_add(SIGNED_AHEAD_MAX_MS) {
        return Some(GateFault::SignedInFuture { signed_at, now });
    }
    if matches!(event.statement, Some(Statement::Correction(_))) && event.head.reason.is_none() {
        return Some(GateFault::NoReason);
    }
    let today = now.date(EASTERNMOST_MINUTES);
    let on = event.head.occurred_on.filter(|on| *on > today)?;
    Some(GateFault::OccurredInFuture { on })
}

/// Looks for numbers of persons among the runs of letters and digits of a text; hashes and keys
/// are longer runs than these.
fn warning(text: &str) -> Option<Warning> {
    if text.len() < TELEPHONE_LEN {
        return None;
    }
    text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|run| {
        if is_telephone(run) {
            Some(Warning::Telephone { text: text.to_owned() })
        } else if is_resident_id(run) {
            Some(Warning::ResidentId { text: text.to_owned() })
        } else {
            None
        }
    })
}

/// A mobile number of mainland China: 11 digits that begin with 13 to 19, perhaps after 86.
fn is_telephone(run: &str) -> bool {
    let rest = run.strip_prefix("86").filter(|rest| rest.len() == TELEPHONE_LEN);
    let digits = rest.unwrap_or(run).as_bytes();
    digits.len() == TELEPHONE_LEN
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] == b'1'
        && digits[1] >= b'3'
}

/// A resident identity number: 17 digits and a check digit, ISO 7064 MOD 11-2 (GB 11643-1999).
fn is_resident_id(run: &str) -> bool {
    let run = run.as_bytes();
    if run.len() != 18 || !run[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let last = match run[17] {
        b'X' | b'x' => 10,
        digit if digit.is_ascii_digit() => u32::from(digit - b'0'),
        _ => return false,
    };
    let sum = run[..17].iter().fold(0, |sum, digit| (sum + u32::from(digit - b'0')) * 2 % 11);
    (sum + last) % 11 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_persons_are_noticed() {
        // The example of the standard, and the well-known one of teaching material.
        for id in ["11010519491231002X", "440524188001010014"] {
            assert!(is_resident_id(id), "{id}");
            assert!(!is_resident_id(&id.replace("01", "10")), "{id}");
        }
        assert!(is_telephone("13800138000") && is_telephone("8613800138000"));
        for number in ["12800138000", "1380013800", "23800138000", "138001380000", "9513800138000"]
        {
            assert!(!is_telephone(number), "{number}");
        }
        assert_eq!(warning("联系人13800138000，请来电").unwrap().code(), "warning/telephone");
        assert_eq!(warning("id 11010519491231002x").unwrap().code(), "warning/resident-id");
        assert_eq!(warning("lot 20200130, 3,980 pieces"), None);
        assert_eq!(warning(&"1380013800".repeat(6)), None);
    }
}
