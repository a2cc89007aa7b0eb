//! The real binary: proofs of single entries, and what `verify` says of files.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use giftproof::ledger::Ledger;
use giftproof::model::hash::leaf_hash;

use crate::cli::{Desk, words};

/// A ledger with a gift, its trust file at the hospital, and a proof of its newest entry.
fn proven() -> (Desk, u64) {
    let desk = Desk::with_ledger();
    desk.donate();
    let index = desk.size() - 1;
    desk.run("charity", "export whole.zip --trust ../hospital/ours.trust");
    let prove = format!("prove {index} --out ../hospital/p.tlog-proof --entry ../hospital/e.entry");
    desk.run("office", &prove);
    (desk, index)
}

fn read(desk: &Desk, name: &str) -> Vec<u8> {
    fs::read(desk.path("hospital").join(name)).unwrap()
}

fn put(desk: &Desk, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(desk.path("hospital").join(name), bytes).unwrap();
}

const VERIFY: &str = "verify p.tlog-proof --trust ours.trust --entry e.entry";

#[test]
fn a_proof_is_verified_with_the_trust_file_alone() {
    let (desk, index) = proven();
    let size = desk.size();
    let entry = {
        let ledger = Ledger::open(&desk.ledger()).unwrap();
        ledger.log().entry_bytes(index).unwrap()
    };
    assert_eq!(read(&desk, "e.entry"), *entry);
    // The ledger is far away.
    fs::rename(desk.ledger(), desk.path("gone")).unwrap();
    let told = desk.run("hospital", VERIFY);
    let first = format!("entry {index} is in the ledger ledger.example/test\n");
    assert!(told.starts_with(&first), "{told}");
    assert!(told.contains("cosigned by no witness"), "{told}");
    let answer = desk.json("hospital", VERIFY);
    assert_eq!(answer["form"], "tlog-proof");
    assert_eq!(answer["level"], "included");
    assert_eq!((&answer["index"], &answer["size"]), (&index.into(), &size.into()));
    let leaf = leaf_hash(&entry).to_string();
    assert_eq!(answer["leaf"], leaf.as_str());
    let by_leaf = format!("verify p.tlog-proof --trust ours.trust --leaf {leaf} --json");
    assert_eq!(desk.json("hospital", &by_leaf.replace(" --json", "")), answer);
    assert!(desk.run("hospital", &format!("{VERIFY} --lang zh")).contains("在账本"));

    // By standard input, with and without a dash.
    for line in [VERIFY.replace("p.tlog-proof", "-"), VERIFY.replace("p.tlog-proof ", "")] {
        let mut command = desk.command("hospital", &words(&line));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&read(&desk, "p.tlog-proof")).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}");
        assert!(String::from_utf8(output.stdout).unwrap().starts_with(&first));
    }
}

#[test]
fn a_checkpoint_is_verified_by_itself_and_every_source_gives_the_same_proof() {
    let (desk, index) = proven();
    fs::copy(desk.ledger().join("checkpoint"), desk.path("hospital").join("head")).unwrap();
    let told = desk.run("hospital", "verify head --trust ours.trust");
    let first = "the checkpoint is signed by the operator of ledger.example/test\n";
    assert!(told.starts_with(first), "{told}");
    let answer = desk.json("hospital", "verify head --trust ours.trust");
    assert_eq!((&answer["form"], &answer["level"]), (&"checkpoint".into(), &"signed".into()));

    let from_ledger = desk.run("office", &format!("prove {index}"));
    assert_eq!(from_ledger.as_bytes(), read(&desk, "p.tlog-proof"));
    let from_bundle = desk.run("charity", &format!("prove {index} --ledger whole.zip"));
    assert_eq!(from_bundle, from_ledger);

    // The ledger grows; the older entry is proven under both checkpoints.
    desk.donate();
    let under = format!("prove {index} --checkpoint ../hospital/head");
    assert_eq!(desk.run("office", &under), from_ledger);
    let newer = desk.run("office", &format!("prove {index}"));
    assert_ne!(newer, from_ledger);
    put(&desk, "p.tlog-proof", newer);
    desk.run("hospital", VERIFY);
}

#[test]
fn what_does_not_hold_ends_with_one_and_what_cannot_be_judged_with_two() {
    let (desk, index) = proven();
    let proof = String::from_utf8(read(&desk, "p.tlog-proof")).unwrap();
    let refused = |line: &str, code: &str, exit| {
        desk.refused("hospital", line, code, exit);
        desk.refused("hospital", &format!("{line} --lang zh"), code, exit);
    };
    let zero = "00".repeat(32);
    refused(&format!("verify p.tlog-proof --trust ours.trust --leaf {zero}"), "proof/root", 1);
    let hash_line = proof.lines().nth(2).unwrap();
    for (changed, code) in [
        (proof.replacen(&format!("{hash_line}\n"), "", 1), "proof/too-short"),
        (proof.replacen(hash_line, &format!("{hash_line}\n{hash_line}"), 1), "proof/too-long"),
        (proof.replacen(&format!("index {index}"), "index 00", 1), "tlog-proof/index"),
        (proof.trim_end().to_owned(), "note/structure"),
        (proof.replacen("ledger.example/test\n", "ledger.example/other\n", 1), "checkpoint/origin"),
        (proof.replacen(&format!("\n{}\n", desk.size()), "\n9999\n", 1), "checkpoint/signature"),
    ] {
        put(&desk, "changed", changed);
        refused("verify changed --trust ours.trust --entry e.entry", code, 1);
    }
    put(&desk, "words", "trust me\n");
    put(&desk, "large", vec![b'x'; (64 << 20) + 1]);
    for (line, code) in [
        ("verify words --trust ours.trust", "verify/unknown-form"),
        ("verify ours.trust --trust ours.trust", "verify/unknown-form"),
        ("verify none --trust ours.trust", "file/not-found"),
        ("verify large --trust ours.trust", "file/too-large"),
        ("verify p.tlog-proof --entry e.entry", "verify/needs-trust"),
        ("verify p.tlog-proof --trust ours.trust", "verify/needs-entry"),
        ("verify p.tlog-proof --trust words --entry e.entry", "trust-file/malformed"),
        ("verify p.tlog-proof --trust ours.trust --leaf 12", "hex/malformed"),
    ] {
        refused(line, code, 2);
    }
    let size = desk.size();
    refused(&format!("prove {size}"), "prove/no-such-entry", 2);
    refused(&format!("prove {index} --out p.tlog-proof"), "file/exists", 2);
    refused(&format!("prove {index} --entry none/e"), "file/no-folder", 2);
    // A checkpoint of another ledger, or one that has run ahead of this copy.
    let head = fs::read_to_string(desk.ledger().join("checkpoint")).unwrap();
    put(&desk, "ahead", head.replacen(&format!("\n{size}\n"), "\n9999\n", 1));
    refused(&format!("prove {index} --checkpoint ahead"), "prove/other-log", 1);
    put(&desk, "forked", head.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1));
    refused(&format!("prove {} --checkpoint forked", index - 1), "prove/misfit", 1);
}

#[test]
fn the_operators_new_key_is_named_as_another_one() {
    let (desk, _) = proven();
    desk.run("office", "key new new-operator.key --unencrypted");
    let rotate = "operator rotate --new-key new-operator.key";
    desk.run("office", &format!("{rotate} --key registry-a.key --key registry-b.key"));
    fs::copy(desk.ledger().join("checkpoint"), desk.path("hospital").join("head")).unwrap();
    let line = "verify head --trust ours.trust";
    let told = desk.refused("hospital", line, "checkpoint/other-operator-key", 1);
    assert!(told.contains("another operator key than the trust file's"), "{told}");
}

#[test]
fn a_gifts_qr_code_holds_its_id() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    desk.run("charity", &format!("lookup {gift} --qr-svg slip.svg"));
    let svg = fs::read_to_string(desk.path("charity").join("slip.svg")).unwrap();
    assert_eq!(decode_svg(&svg).to_ascii_lowercase(), gift);
    desk.refused("charity", &format!("lookup {gift} --qr-svg slip.svg"), "file/exists", 2);

    let shown = desk.run("charity", &format!("lookup {gift} --qr"));
    let plain = desk.run("charity", &format!("lookup {gift}"));
    let drawn = shown.strip_prefix(&plain).unwrap();
    assert_eq!(decode_terminal(drawn).to_ascii_lowercase(), gift);
    // On a slip, too, below the answer; programs are given none.
    let line = "donate --item gown --quantity 1 --unit box --for hospital-a --key red-cross.key";
    let told = desk.run("charity", &format!("{line} --qr"));
    let (answer, drawn) = told.split_at(told.find('\u{2588}').unwrap());
    let id = decode_terminal(drawn).to_ascii_lowercase();
    assert!(answer.contains(&id), "{told}");
    assert!(desk.json("charity", &format!("{line} --qr"))["gift"].is_string());
    // What the code says is understood when it is typed in.
    desk.run("charity", &format!("lookup {}", gift.to_ascii_uppercase()));
}

/// Reads a QR code from squares: whether the one at column and row is dark.
fn decode(width: usize, height: usize, dark: impl Fn(usize, usize) -> bool) -> String {
    // A few pixels a square: the decoder looks for a picture of a code.
    const PIXELS: usize = 4;
    let grey = |x: usize, y: usize| if dark(x / PIXELS, y / PIXELS) { 0 } else { 255 };
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width * PIXELS, height * PIXELS, grey);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

/// The squares of the image: `M{left} {top}h{width}v{height}H..V..` for each dark rectangle, all a
/// multiple of one square's 8 pixels.
fn decode_svg(svg: &str) -> String {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().unwrap() / 8
    };
    let size = number(svg.split("width=\"").nth(1).unwrap());
    let mut dark = vec![false; size * size];
    for part in svg.split(" d=\"").nth(1).unwrap().split('M').skip(1) {
        let (left, rest) = part.split_once(' ').unwrap();
        let (top, rest) = rest.split_once('h').unwrap();
        let (wide, high) = rest.split_once('v').unwrap();
        for y in number(top)..number(top) + number(high) {
            for x in number(left)..number(left) + number(wide) {
                dark[y * size + x] = true;
            }
        }
    }
    decode(size, size, |x, y| dark[y * size + x])
}

/// The squares of half blocks: what is drawn is light.
fn decode_terminal(text: &str) -> String {
    let rows: Vec<Vec<char>> =
        text.lines().filter(|line| !line.is_empty()).map(|line| line.chars().collect()).collect();
    let light = |x: usize, y: usize| {
        let half = if y.is_multiple_of(2) { '\u{2580}' } else { '\u{2584}' };
        rows[y / 2].get(x).is_some_and(|drawn| *drawn == '\u{2588}' || *drawn == half)
    };
    decode(rows[0].len(), rows.len() * 2, |x, y| !light(x, y))
}
