//! Bit rot: a bit, a page or a file of a ledger folder, a bundle or a mirror is not what was
//! written. Whatever is asked then gives the answer of the undamaged copy, or says by a stable code
//! that something is damaged.
//!
//! The questions are asked in a process of their own, with bounded memory, that ends when one of
//! them takes too long. The usual run tries a few hundred places; the long one, with a table of what
//! each file's places came to:
//!
//! ```text
//! GIFTPROOF_TEST_ROT=3000 cargo test --test tests rot:: -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use giftproof::bundle::{Existing, LogFolder, LogSource, OpenedBundle};
use giftproof::ledger::{Ledger, POLICY_FILE};
use giftproof::mirror::Mirror;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::note::{CosignatureTime, KeyKind, KeyName, VerifierKey};
use giftproof::model::state::State;
use giftproof::model::trust::TrustFile;
use giftproof::model::verdict::{AsOf, Verdict};
use giftproof::verify::{Options, Outcome, audit};
use giftproof::writer::Writer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::ledger::{clock, make};
use crate::util::{copy_folder, secret};

/// How many places are tried, all files together.
const PLACES: &str = "GIFTPROOF_TEST_ROT";
/// Set in the process that asks the questions.
const INSIDE: &str = "GIFTPROOF_TEST_ROT_INSIDE";
/// The address space of that process, and of the binary, in kilobytes.
const MEMORY_KB: u64 = 4 << 20;
/// The longest that all questions about one place may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was written: a ledger folder, a bundle and a mirror, and what each answers.
struct Original {
    folder: TempDir,
    trust: TrustFile,
}

impl Original {
    /// A log with a full bundle, several runs after it, and a witness that has cosigned.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let author = make(&ledger, 280);
        let writer = Writer::open(&ledger, secret("operator"), clock()).unwrap();
        for quantity in 1000..1005 {
            writer.submit(author.donation(quantity)).unwrap();
        }
        writer.close().unwrap();
        let opened = Ledger::open(&ledger).unwrap();
        let trust = opened.trust().unwrap();
        witness(&ledger, opened.checkpoint().clone());
        drop(opened);
        let opened = Ledger::open(&ledger).unwrap();
        let bundle = folder.path().join("bundle.zip");
        opened.export(&bundle, None, None, Existing::Refuse, &mut |_, _| {}).unwrap();
        let mirror = Mirror::open(&folder.path().join("mirror")).unwrap();
        mirror.follow(&opened, None, 1_800_000_000, &Options::default()).unwrap();
        Self { folder, trust }
    }

    fn path(&self, copy: &str) -> PathBuf {
        self.folder.path().join(copy)
    }
}

/// Gives a ledger a policy of one witness, and its cosignature on this checkpoint.
fn witness(ledger: &Path, checkpoint: SignedCheckpoint) {
    let name = KeyName::parse("witness.example/one").unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(secret("a witness").seed());
    let public = VerifierKey::of_signer(name.clone(), KeyKind::Cosignature, &key);
    fs::write(ledger.join(POLICY_FILE), format!("witness one {public}\nquorum one\n")).unwrap();
    let size = checkpoint.checkpoint().size;
    let time = CosignatureTime::new(1_800_000_000).unwrap();
    let cosigned = checkpoint.cosign(time, &name, &key).unwrap().to_string();
    fs::create_dir(ledger.join("cosigned")).unwrap();
    fs::write(ledger.join("cosigned").join(size.to_string()), &cosigned).unwrap();
    fs::write(ledger.join("checkpoint"), cosigned).unwrap();
}

/// All files below a path, relative to it; the path itself if it is a file.
fn files(root: &Path) -> Vec<PathBuf> {
    if root.is_file() {
        return vec![PathBuf::new()];
    }
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(root).unwrap().to_path_buf()),
            }
        }
    }
    found.sort();
    found
}

fn join(root: &Path, file: &Path) -> PathBuf {
    if file.as_os_str().is_empty() { root.to_path_buf() } else { root.join(file) }
}

/// Something that happens to a file.
#[derive(Clone, Copy, Debug)]
enum Rot {
    Bit {
        byte: u64,
        bit: u8,
    },
    /// 4,096 bytes from here are zero.
    Page(u64),
    /// The file ends here.
    Cut(u64),
    Missing,
    /// It has the bytes of the file after it, and that one its bytes.
    Swapped,
}

impl Rot {
    fn happen(self, root: &Path, all: &[PathBuf], at: usize) {
        let path = join(root, &all[at]);
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        match self {
            Self::Bit { byte, bit } => {
                let (file, mut old) = (open(), [0]);
                file.read_exact_at(&mut old, byte).unwrap();
                file.write_all_at(&[old[0] ^ 1 << bit], byte).unwrap();
            }
            Self::Page(from) => {
                let len = (path.metadata().unwrap().len() - from).min(4096) as usize;
                open().write_all_at(&vec![0; len], from).unwrap();
            }
            Self::Cut(len) => open().set_len(len).unwrap(),
            Self::Missing => fs::remove_file(path).unwrap(),
            Self::Swapped => {
                let other = join(root, &all[(at + 1) % all.len()]);
                let aside = path.with_extension("aside");
                fs::rename(&path, &aside).unwrap();
                fs::rename(&other, &path).unwrap();
                fs::rename(aside, other).unwrap();
            }
        }
    }
}

/// Where a file is tried: its first and last bytes and the middle of what is not zero, then `count`
/// bytes all over it, most of them where there is something else than zeros.
fn places(path: &Path, count: u64, rng: &mut StdRng) -> Vec<Rot> {
    let bytes = fs::read(path).unwrap();
    let Some(last) = (bytes.len() as u64).checked_sub(1) else { return Vec::new() };
    let used: Vec<u64> = (0..).zip(&bytes).filter(|(_, b)| **b != 0).map(|(at, _)| at).collect();
    let mut chosen = vec![0, used.get(used.len() / 2).copied().unwrap_or(last / 2), last];
    for number in 0..count {
        chosen.push(match number % 5 == 4 || used.is_empty() {
            true => rng.random_range(0..=last),
            false => used[rng.random_range(0..used.len())],
        });
    }
    chosen.into_iter().map(|byte| Rot::Bit { byte, bit: rng.random_range(0..8) }).collect()
}

/// What each question is answered, or the code under which it is not.
type Answers = Vec<Result<String, String>>;

/// Everything that people are told of a state; its maps have no order.
fn told(state: &State) -> Result<String, String> {
    let mut lines: Vec<String> = Vec::new();
    for gift in state.gifts.iter() {
        let verdict = Verdict::of(state, &gift, AsOf::last_entry(state));
        lines.push(format!("{} {verdict:?} {:?}", gift.id, Verdict::journey(state, &gift)));
    }
    lines.extend(state.parties.iter().map(|party| format!("{party:?}")));
    lines.sort_unstable();
    // What could not be had is missing from the lines.
    match state.fault() {
        Some(fault) => Err(fault.code().to_owned()),
        None => Ok(digest(&format!("{} {} {}", state.size, state.last_leaf, lines.concat()))),
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// What an audit says: all that follows from the log, or the codes of what is wrong with it.
fn audited(source: &dyn LogSource, trust: &TrustFile) -> Result<String, String> {
    let report = audit(source, Some(trust), &Options::default());
    let report = report.map_err(|error| error.code().to_owned())?;
    match report.outcome() {
        Outcome::Clean => {
            let state = told(report.state.as_ref().unwrap())?;
            Ok(format!("{:?} {state}", report.checkpoint))
        }
        _ => Err(report.failures.first()[0].violation.code.as_str().to_owned()),
    }
}

fn ask_ledger(folder: &Path, trust: &TrustFile) -> Answers {
    let ledger = match Ledger::open(folder) {
        Ok(ledger) => ledger,
        Err(error) => return vec![Err(error.code().to_owned())],
    };
    let state = ledger.state();
    let lookup = |index: u64| -> Result<String, String> {
        let entry = ledger.entry(index).map_err(|error| error.code().to_owned())?;
        Ok(format!("{} {:?}", entry.leaf(), entry.header))
    };
    let lookups: Result<Vec<String>, String> = (0..state.size).step_by(9).map(lookup).collect();
    let out = folder.with_extension("out.zip");
    let exported = ledger.export(&out, None, None, Existing::Replace, &mut |_, _| {});
    let exported = exported.map_err(|error| error.code().to_owned());
    vec![
        told(state).map(|told| format!("{} {told}", ledger.checkpoint().note().text())),
        lookups.map(|all| digest(&all.concat())),
        exported.and_then(|()| ask_bundle(&out, trust).remove(0)),
        audited(&ledger, trust),
    ]
}

fn ask_bundle(path: &Path, trust: &TrustFile) -> Answers {
    let opened = || {
        let opened = OpenedBundle::open(path).map_err(|error| error.code().to_owned())?;
        let note = SignedCheckpoint::parse(opened.checkpoint());
        let size = note.map_err(|error| error.code().to_owned())?.checkpoint().size;
        opened.with_size(size).map_err(|error| error.code().to_owned())
    };
    vec![opened().and_then(|bundle| audited(&bundle, trust))]
}

fn ask_mirror(folder: &Path, trust: &TrustFile) -> Answers {
    // What a lookup goes by, if it is there.
    let state = Mirror::state_of(folder)
        .map_or(Err("mirror/damaged".to_owned()), |state| Ok(format!("{}", state.checkpoint())));
    vec![state, audited(&LogFolder::new(folder), trust)]
}

type Ask = fn(&Path, &TrustFile) -> Answers;

const COPIES: [(&str, Ask, u64); 3] =
    [("ledger", ask_ledger, 70), ("bundle.zip", ask_bundle, 10), ("mirror", ask_mirror, 20)];

/// Ends the process when a place takes too long.
struct Watchdog(Arc<Mutex<(Instant, String)>>);

impl Watchdog {
    fn new() -> Self {
        let since = Arc::new(Mutex::new((Instant::now(), "making the copies".to_owned())));
        let watched = Arc::clone(&since);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let (since, what) = watched.lock().unwrap().clone();
                if since.elapsed() > PATIENCE {
                    eprintln!("no answer within {PATIENCE:?}: {what}");
                    std::process::exit(101);
                }
            }
        });
        Self(since)
    }

    fn now(&self, what: String) {
        *self.0.lock().unwrap() = (Instant::now(), what);
    }
}

#[test]
fn whatever_rots_the_answer_is_right_or_says_so() {
    if std::env::var_os(INSIDE).is_none() {
        let name = "rot::whatever_rots_the_answer_is_right_or_says_so";
        let line = format!("ulimit -v {MEMORY_KB} && exec \"$0\" --exact {name} --nocapture");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
        let output = command.env("MALLOC_ARENA_MAX", "2").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}\n{failed}");
        assert!(told.contains("1 passed"), "{told}");
        print!("{told}");
        return;
    }
    let count: u64 = std::env::var(PLACES).map_or(150, |count| count.parse().unwrap());
    let seed = std::env::var("GIFTPROOF_TEST_SEED").map_or(4, |seed| seed.parse().unwrap());
    println!("seed {seed}, {count} places");
    let mut rng = StdRng::seed_from_u64(seed);
    let watchdog = Watchdog::new();
    let original = Original::new();
    let mut outcomes: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let scratch = tempfile::tempdir().unwrap();
    for (copy, ask, share) in COPIES {
        let root = original.path(copy);
        // Opening makes a ledger's database write: the first answers are of a copy, too.
        let target = scratch.path().join("first").join(copy);
        fresh(&root, &target);
        let right = ask(&target, &original.trust);
        assert!(right.iter().all(Result::is_ok), "{copy}: {right:?}");
        let all = files(&root);
        // Long files have more places, but not in proportion: the database is a thousand times as
        // long as all others together.
        let lens = all.iter().map(|file| join(&root, file).metadata().unwrap().len());
        let weight = |len: u64| 1 + u64::from(len.max(1).ilog2()).pow(2);
        let weights: Vec<u64> = lens.map(weight).collect();
        let sum: u64 = weights.iter().sum();
        for (at, file) in all.iter().enumerate() {
            let path = join(&root, file);
            let len = path.metadata().unwrap().len();
            let mut rots = places(&path, count * share * weights[at] / (100 * sum), &mut rng);
            rots.push(Rot::Missing);
            if len > 0 {
                rots.extend([Rot::Cut(0), Rot::Cut(len / 2), Rot::Cut(len - 1), Rot::Page(0)]);
                rots.push(Rot::Page(len / 2));
            }
            if all.len() > 1 {
                rots.push(Rot::Swapped);
            }
            let name = format!("{copy}/{}", file.display());
            for rot in rots {
                watchdog.now(format!("{name}: {rot:?}"));
                let target = scratch.path().join(copy);
                fresh(&root, &target);
                rot.happen(&target, &all, at);
                let found = ask(&target, &original.trust);
                let came_to = outcomes.entry(name.clone()).or_default();
                *came_to.entry(outcome(&found)).or_default() += 1;
                let believable = found.iter().zip(&right).all(|(found, right)| match found {
                    Ok(_) => found == right,
                    Err(code) => code.contains('/'),
                });
                if !believable {
                    wrong.push(format!("{name}: {rot:?}: {found:?} instead of {right:?}"));
                }
            }
        }
    }
    for (name, came_to) in &outcomes {
        println!("{name}: {came_to:?}");
    }
    let tried: u64 = outcomes.values().flat_map(BTreeMap::values).sum();
    println!("{tried} places in {} files", outcomes.len());
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What all answers together come to, in a word.
fn outcome(found: &Answers) -> String {
    let codes: Vec<&str> =
        found.iter().filter_map(|a| a.as_ref().err().map(String::as_str)).collect();
    codes.first().map_or_else(|| "right".to_owned(), |code| (*code).to_owned())
}

fn fresh(from: &Path, to: &Path) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if to.exists() {
        // A thread of a database that panicked may still hold on to the old folder.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let aside = to.with_extension(format!("old-{number}"));
        fs::rename(to, &aside).unwrap();
        let _ = if aside.is_dir() { fs::remove_dir_all(aside) } else { fs::remove_file(aside) };
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    match from.is_dir() {
        true => copy_folder(from, to),
        false => drop(fs::copy(from, to).unwrap()),
    }
}

/// The real binary, in little memory and time, on some of the places.
#[test]
fn the_binary_answers_right_or_names_the_damage() {
    let count: u64 = std::env::var(PLACES).map_or(150, |count| count.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(5);
    let original = Original::new();
    let root = original.path("ledger");
    let trust = original.path("pinned.trust");
    fs::write(&trust, original.trust.to_string()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let run = |folder: &Path, arguments: &[&str]| {
        let line = format!("ulimit -v {MEMORY_KB} && exec timeout 120 \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &line, "sh", env!("CARGO_BIN_EXE_giftproof")]).args(arguments);
        command.env("GIFTPROOF_LEDGER", folder).env("LC_ALL", "C");
        command.env("MALLOC_ARENA_MAX", "2").output().unwrap()
    };
    let questions = |folder: &Path| -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (folder, trust) = (folder.to_str().unwrap(), trust.to_str().unwrap());
        vec![words(&["list", "gifts"]), words(&["audit", folder, "--trust", trust])]
    };
    // What changes from run to run is how long an audit took.
    let answer = |output: &std::process::Output| -> String {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter(|line| !line.contains(" s (")).collect::<Vec<_>>().join("\n")
    };
    let target = scratch.path().join("ledger");
    fresh(&root, &target);
    let right: Vec<String> = questions(&target)
        .iter()
        .map(|question| {
            let words: Vec<&str> = question.iter().map(String::as_str).collect();
            let output = run(&target, &words);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            answer(&output)
        })
        .collect();
    let all = files(&root);
    for (at, file) in all.iter().enumerate() {
        for rot in places(&join(&root, file), count / (20 * all.len() as u64), &mut rng) {
            fresh(&root, &target);
            rot.happen(&target, &all, at);
            for (question, right) in questions(&target).iter().zip(&right) {
                let words: Vec<&str> = question.iter().map(String::as_str).collect();
                let output = run(&target, &words);
                let told = String::from_utf8_lossy(&output.stderr);
                let what = format!("{}: {rot:?}: {question:?}\n{told}", file.display());
                match output.status.code() {
                    Some(0) => assert_eq!(&answer(&output), right, "{what}"),
                    Some(1 | 2) => assert!(told.contains("giftproof: error: "), "{what}"),
                    other => panic!("{other:?} {what}"),
                }
                assert!(!told.contains("panicked"), "{what}");
            }
        }
    }
}
