//! How fast events come in: checked, in the log, and on disk before the answer.
//!
//! One ledger is filled. Most of the events come through `submit_many`; what is left is handed in by
//! 256 threads with sixteen events each in flight, by the same while seals are made, by 256 threads
//! with one event each, and by one thread: so each of these meets a ledger of nearly full size.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use giftproof::model::date::UnixMs;
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::Kind;
use giftproof::model::hash::LeafHash;
use giftproof::writer::{Clock, ManualClock, Pending, Writer};
use serde_json::{Value, json};

use crate::floor::{Floor, Keys};
use crate::log::{Events, Folder, IN_FLIGHT, consignment, names_an_index, submit_all};
use crate::measurement::*;
use crate::opening;

/// Threads that submit at the same time.
const SUBMITTERS: usize = 256;

/// Signatures that the floor is measured with, before and after each.
const SAMPLE: u64 = 40_000;

/// How many events are left for the others than `submit_many`.
struct Shares {
    many_in_flight: u64,
    while_sealing: u64,
    one_each: u64,
    alone: u64,
}

impl Shares {
    fn of(entries: u64) -> Self {
        Self {
            many_in_flight: (entries / 10).min(200_000),
            while_sealing: (entries / 10).min(200_000),
            one_each: (entries / 20).min(100_000),
            alone: (entries / 100).min(2_000),
        }
    }

    fn sum(&self) -> u64 {
        self.many_in_flight + self.while_sealing + self.one_each + self.alone
    }
}

pub fn run(folder: &Folder) -> Result<()> {
    let shares = Shares::of(folder.entries());
    let floor = Floor::sample(&folder.bundle()?, &folder.genesis(), SAMPLE)?;
    let before = resident_bytes();
    let (writer, clock) = folder.begin_ledger()?;
    let mut events = Events::of(folder.bundle()?, 1)?;
    let preamble = folder.generated.preamble - 1;
    submit_all(&writer, events.by_ref().take(preamble as usize).collect())?;

    let mut ingest = Ingest { folder, writer: &writer, floor: &floor, events };
    let seals = folder.generated.kinds.get(Kind::EpochSealed.word()).copied().unwrap_or(0);
    let many = folder.entries() - 1 - preamble - seals - shares.sum();
    ingest.submit_many(many)?;
    print(json!({
        "what": "memory of the writer", "entries": size(&writer),
        "peak_bytes": peak_bytes(), "resident_bytes": resident_bytes(),
        "resident_before_bytes": before,
    }));
    ingest.many_in_flight(shares.many_in_flight)?;
    ingest.while_sealing(shares.while_sealing, &clock)?;
    ingest.one_each(shares.one_each)?;
    ingest.alone(shares.alone)?;
    let entries = size(&writer);
    let resident = resident_bytes();
    let (closed, seconds) = timed(|| writer.close());
    closed?;
    print(json!({
        "what": "close", "entries": entries, "seconds": round(seconds, 3),
        "peak_bytes": peak_bytes(), "resident_bytes": resident,
        "disk_bytes": folder_bytes(&folder.ledger())?,
    }));
    opening::after_writing(folder)?;
    folder.note_whole()
}

fn size(writer: &Writer) -> u64 {
    writer.with_state(|state| state.size)
}

struct Ingest<'a> {
    folder: &'a Folder,
    writer: &'a Writer,
    floor: &'a Floor,
    events: Events,
}

/// From when to when an event was on its way.
type Span = (Instant, Instant);

impl Ingest<'_> {
    /// The next events, in their order.
    fn take(&mut self, count: u64) -> Vec<SignedEvent> {
        self.events.by_ref().take(count as usize).collect()
    }

    /// The next events for each submitter: those of one consignment go to one, in their order.
    fn lanes(&mut self, count: u64) -> Vec<Vec<SignedEvent>> {
        let mut lanes = vec![Vec::new(); SUBMITTERS];
        for event in self.take(count).into_iter().filter(|event| !names_an_index(event)) {
            lanes[consignment(&event) as usize % SUBMITTERS].push(event);
        }
        lanes
    }

    fn submit_many(&mut self, count: u64) -> Result<()> {
        let writer = self.writer;
        let floor = self.floor;
        let (calls, floor_rate) = floor.around(|| {
            let mut calls = Vec::new();
            let mut left = count;
            while left > 0 {
                // Reading them is not what is measured.
                let events = self.take(left.min(IN_FLIGHT as u64));
                let events_count = events.len() as u64;
                if events_count == 0 {
                    break;
                }
                left -= events_count;
                let signatures: usize = events.iter().map(|event| event.signatures.len()).sum();
                let (answers, seconds) = timed(|| submit_all(writer, events));
                answers?;
                calls.push((events_count, signatures as u64, seconds));
            }
            Ok(calls)
        })?;
        let sums = |calls: &[(u64, u64, f64)]| {
            calls.iter().fold((0, 0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
        };
        let (events, signatures, seconds) = sums(&calls);
        // A million, or a quarter of all.
        let window = (1_000_000 / IN_FLIGHT).min(calls.len() / 4).max(1).min(calls.len());
        let rate_of = |calls: &[(u64, u64, f64)]| {
            let (events, _, seconds) = sums(calls);
            events as f64 / seconds
        };
        let first = rate_of(&calls[..window]);
        let last = rate_of(&calls[calls.len() - window..]);
        let latencies: Vec<f64> = calls.iter().map(|(_, _, seconds)| *seconds).collect();
        print(json!({
            "what": "ingest, submit_many of 4,096", "entries": size(writer),
            "rate": rate(events, seconds), "signatures_a_second": rate(signatures, seconds),
            "floor": floor_rate.round(),
            "ratio": round(signatures as f64 / seconds / floor_rate, 2),
            "p50_ms": ms(percentile(latencies.clone(), 50)),
            "p99_ms": ms(percentile(latencies.clone(), 99)), "longest_ms": ms(longest(&latencies)),
            "first_rate": first.round(), "last_rate": last.round(),
            "last_to_first": round(last / first, 2), "peak_bytes": peak_bytes(),
            "disk_bytes": folder_bytes(&self.folder.ledger())?,
        }));
        Ok(())
    }

    fn many_in_flight(&mut self, count: u64) -> Result<()> {
        let what = "ingest, 256 submitters with 16 in flight";
        self.submitters(what, count, 16)
    }

    fn one_each(&mut self, count: u64) -> Result<()> {
        self.submitters("ingest, 256 submitters with 1 in flight", count, 1)
    }

    fn submitters(&mut self, what: &str, count: u64, in_flight: usize) -> Result<()> {
        let lanes = self.lanes(count);
        let writer = self.writer;
        let (told, floor_rate) =
            self.floor.around(|| Ok(submit_from_all(writer, lanes, in_flight)))?;
        let Told { events, signatures, seconds, spans } = told;
        let latencies = latencies(&spans);
        print(json!({
            "what": what, "entries": size(writer), "rate": rate(events, seconds),
            "signatures_a_second": rate(signatures, seconds), "floor": floor_rate.round(),
            "ratio": round(signatures as f64 / seconds / floor_rate, 2),
            "p50_ms": ms(percentile(latencies.clone(), 50)),
            "p99_ms": ms(percentile(latencies.clone(), 99)), "longest_ms": ms(longest(&latencies)),
            "peak_bytes": peak_bytes(), "disk_bytes": folder_bytes(&self.folder.ledger())?,
        }));
        Ok(())
    }

    /// The same while somebody asks for seals all the time.
    fn while_sealing(&mut self, count: u64, clock: &ManualClock) -> Result<()> {
        let lanes = self.lanes(count);
        let (writer, done) = (self.writer, AtomicBool::new(false));
        let seals = |clock: &ManualClock| -> Vec<Span> {
            let mut spans = Vec::new();
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(250));
                // Seals that are asked for are ten seconds apart, by the ledger's clock.
                clock.set(UnixMs(clock.now().0 + 11_000));
                let start = Instant::now();
                // Where the machine is slow, a seal by number may just have come before.
                if writer.seal().is_ok() {
                    spans.push((start, Instant::now()));
                }
            }
            spans
        };
        let ((told, seals), floor_rate) = self.floor.around(|| {
            Ok(std::thread::scope(|scope| {
                let sealing = scope.spawn(|| seals(clock));
                let told = submit_from_all(writer, lanes, 16);
                done.store(true, Ordering::Relaxed);
                (told, sealing.join().expect("the sealing thread has not panicked"))
            }))
        })?;
        let meets = |span: &&Span| seals.iter().any(|seal| span.0 < seal.1 && seal.0 < span.1);
        let met: Vec<Span> = told.spans.iter().filter(meets).copied().collect();
        print(json!({
            "what": "ingest while sealing, 256 submitters with 16 in flight",
            "entries": size(writer), "rate": rate(told.events, told.seconds),
            "floor": floor_rate.round(),
            "ratio": round(told.signatures as f64 / told.seconds / floor_rate, 2),
            "p99_ms": ms(percentile(latencies(&told.spans), 99)),
            "p99_of_those_that_met_a_seal_ms": ms(percentile(latencies(&met), 99)),
            "seals": seals.len(), "seal_ms": ms(median(latencies(&seals))),
            "peak_bytes": peak_bytes(), "disk_bytes": folder_bytes(&self.folder.ledger())?,
        }));
        Ok(())
    }

    /// One event after the other. The floor is to verify it, and to bring as many bytes to the same
    /// disk with one fsync.
    fn alone(&mut self, count: u64) -> Result<()> {
        let mut events = self.take(count);
        events.retain(|event| !names_an_index(event));
        let genesis = self.folder.genesis();
        let before = verify_and_sync(self.folder, &events, &genesis)?;
        let mut latencies = Vec::new();
        for event in events.clone() {
            let (answer, seconds) = timed(|| self.writer.submit(event));
            answer?;
            latencies.push(seconds);
        }
        let after = verify_and_sync(self.folder, &events, &genesis)?;
        let own = latencies.len() as f64 / latencies.iter().sum::<f64>();
        let floor = 2.0 * events.len() as f64 / (before + after);
        print(json!({
            "what": "ingest, 1 submitter", "entries": size(self.writer), "rate": own.round(),
            "floor": floor.round(), "floor_is": "verify + 1 fsync",
            "ratio": round(own / floor, 2), "times_the_floor": round(floor / own, 2),
            "p50_ms": ms(percentile(latencies.clone(), 50)), "p99_ms": ms(percentile(latencies, 99)),
            "peak_bytes": peak_bytes(), "disk_bytes": folder_bytes(&self.folder.ledger())?,
        }));
        Ok(())
    }
}

/// The seconds that it takes to verify events one by one, each written and synced.
fn verify_and_sync(folder: &Folder, events: &[SignedEvent], genesis: &LeafHash) -> Result<f64> {
    let path = folder.path.join("floor");
    let mut file = File::create(&path)?;
    let mut keys = Keys::default();
    let signed = events.iter().map(|event| keys.signatures(event, genesis));
    let signed = signed.collect::<Result<Vec<_>>>()?;
    let (synced, seconds) = timed(|| -> Result<()> {
        for (event, signed) in events.iter().zip(&signed) {
            signed.iter().for_each(|signed| signed.verify());
            file.write_all(&event.to_bytes())?;
            file.sync_data()?;
        }
        Ok(())
    });
    synced?;
    std::fs::remove_file(path)?;
    Ok(seconds)
}

/// What became of the first nine tenths of the events.
struct Told {
    events: u64,
    signatures: u64,
    seconds: f64,
    spans: Vec<Span>,
}

/// Each submitter hands in its own events. The last tenth of the answers is left out: by then, some
/// submitters have nothing left, and the others have the writer to themselves.
fn submit_from_all(writer: &Writer, lanes: Vec<Vec<SignedEvent>>, in_flight: usize) -> Told {
    let start = Instant::now();
    let mut told: Vec<(usize, Span)> = std::thread::scope(|scope| {
        let submitters: Vec<_> = lanes
            .into_iter()
            .map(|lane| scope.spawn(move || submit_lane(writer, lane, in_flight)))
            .collect();
        let joined = submitters.into_iter().map(|submitter| submitter.join());
        joined.flat_map(|told| told.expect("every event is accepted")).collect()
    });
    told.sort_unstable_by_key(|(_, (_, answered))| *answered);
    told.truncate(told.len() * 9 / 10);
    let until = told.last().map_or(start, |(_, (_, answered))| *answered);
    Told {
        events: told.len() as u64,
        signatures: told.iter().map(|(signatures, _)| *signatures as u64).sum(),
        seconds: (until - start).as_secs_f64(),
        spans: told.into_iter().map(|(_, span)| span).collect(),
    }
}

/// For each event its signatures and the time it took.
fn submit_lane(writer: &Writer, lane: Vec<SignedEvent>, in_flight: usize) -> Vec<(usize, Span)> {
    let mut told = Vec::with_capacity(lane.len());
    let mut waiting = VecDeque::new();
    let mut settle = |waiting: &mut VecDeque<(usize, Instant, Pending)>| {
        if let Some((signatures, begun, pending)) = waiting.pop_front() {
            pending.wait().expect("a generated event is accepted");
            told.push((signatures, (begun, Instant::now())));
        }
    };
    for event in lane {
        if waiting.len() == in_flight {
            settle(&mut waiting);
        }
        let (signatures, begun) = (event.signatures.len(), Instant::now());
        waiting.push_back((signatures, begun, writer.submit_later(event)));
    }
    while !waiting.is_empty() {
        settle(&mut waiting);
    }
    told
}

fn longest(latencies: &[f64]) -> f64 {
    latencies.iter().copied().fold(0.0, f64::max)
}

fn latencies(spans: &[Span]) -> Vec<f64> {
    spans.iter().map(|(begun, answered)| (*answered - *begun).as_secs_f64()).collect()
}

/// What a process that is to be killed does: hands in the events that the bundle does not have, says
/// so when it has handed in a share of them, and goes on to the end.
pub fn until_killed(folder: &Folder, share: f64) -> Result<()> {
    let clock = Clock::Manual(ManualClock::new(folder.end()));
    let writer = Writer::open(&folder.ledger(), crate::util::secret("operator"), clock)?;
    let events: Vec<_> = Events::of(folder.later()?, folder.entries())?.collect();
    let events: Vec<_> = events.into_iter().filter(|event| !names_an_index(event)).collect();
    let after = (events.len() as f64 * share) as usize;
    let mut submitted = 0;
    for chunk in events.chunks(64) {
        submit_all(&writer, chunk.to_vec())?;
        if submitted <= after && submitted + chunk.len() > after {
            print(Value::from(size(&writer)));
        }
        submitted += chunk.len();
    }
    // Nothing is left to submit: stays as it is until the end comes.
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}
