//! The real binary, as people use it: a newcomer's journey over three machines, mistakes made on
//! purpose, a receipt made without network, both languages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use giftproof::ledger::Ledger;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::hash::EventHash;
use giftproof::model::ident::GiftId;
use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

/// Folders that stand for machines, and one ledger in the operator's office.
pub struct Desk(TempDir);

const REGISTRARS: [&str; 2] = ["registry-a", "registry-b"];

impl Desk {
    /// Three machines with keys on them; no ledger yet.
    pub fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (machine, keys) in [
            ("office", &["operator", "registry-a", "registry-b"][..]),
            ("charity", &["red-cross", "warehouse", "stranger"]),
            ("hospital", &["hospital-a"]),
        ] {
            fs::create_dir(desk.path(machine)).unwrap();
            for key in keys {
                desk.ok(machine, &["key", "new", &format!("{key}.key"), "--unencrypted"]);
            }
        }
        desk
    }

    /// A ledger with everybody enrolled, made on one machine.
    pub fn with_ledger() -> Self {
        let desk = Self::new();
        let mut init = words("init --origin ledger.example/test --operator Office");
        for registrar in REGISTRARS {
            init.extend([
                "--registrar".into(),
                format!("{registrar}:The {registrar}:{registrar}.pub"),
            ]);
            init.extend(["--registrar-key".into(), format!("{registrar}.key")]);
        }
        desk.ok("office", &init);
        for (party, role, machine) in [
            ("red-cross", "charity", "charity"),
            ("warehouse", "warehouse", "charity"),
            ("hospital-a", "recipient", "hospital"),
        ] {
            let key = desk.path(machine).join(format!("{party}.key"));
            let mut enroll = words(&format!("party enroll {party} --role {role} --name"));
            enroll.push(format!("The {party}"));
            enroll.extend(["--key".into(), key.display().to_string()]);
            enroll.extend(words("--key registry-a.key --key registry-b.key"));
            desk.ok("office", &enroll);
        }
        desk
    }

    pub fn path(&self, machine: &str) -> PathBuf {
        self.0.path().join(machine)
    }

    pub fn ledger(&self) -> PathBuf {
        self.path("office").join("ledger")
    }

    pub fn command(&self, machine: &str, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giftproof"));
        command
            .current_dir(self.path(machine))
            .env_clear()
            .env("LC_ALL", "C")
            .env("GIFTPROOF_LEDGER", self.ledger())
            .env("GIFTPROOF_OPERATOR_KEY", self.path("office").join("operator.key"))
            .args(arguments.iter().map(AsRef::as_ref))
            .stdin(Stdio::null());
        command
    }

    /// The command must succeed; gives what it answers.
    fn ok(&self, machine: &str, arguments: &[impl AsRef<str>]) -> String {
        let output = self.command(machine, arguments).output().unwrap();
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        assert!(output.status.success(), "{arguments:?}\n{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn run(&self, machine: &str, line: &str) -> String {
        self.ok(machine, &words(line))
    }

    pub fn json(&self, machine: &str, line: &str) -> Value {
        serde_json::from_str(&self.run(machine, &format!("{line} --json"))).unwrap()
    }

    /// The command must fail with this code and exit code, and leave the ledger as it is. Gives
    /// what it tells.
    pub fn refused(&self, machine: &str, line: &str, code: &str, exit: i32) -> String {
        let before = self.checkpoint();
        let output = self.command(machine, &words(line)).output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(exit), "{line}\n{told}");
        let told_as = |words: [&str; 2]| words.iter().any(|word| told.contains(word));
        assert!(told_as(["giftproof: error: ", "giftproof: 错误: "]), "{line}\n{told}");
        assert!(told.contains(&format!("[{code}]\n")), "{line}: not {code}, but\n{told}");
        assert!(told_as(["\ngiftproof: hint: ", "\ngiftproof: 提示: "]), "{line}\n{told}");
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!(self.checkpoint(), before, "{line} changed the ledger");
        told
    }

    fn checkpoint(&self) -> Option<Vec<u8>> {
        fs::read(self.ledger().join("checkpoint")).ok()
    }

    pub fn size(&self) -> u64 {
        let note = self.checkpoint().expect("the ledger has published a checkpoint");
        SignedCheckpoint::parse(&note).unwrap().checkpoint().size
    }

    /// The red cross records masks; gives the gift's id.
    pub fn donate(&self) -> String {
        let line =
            "donate --item N95口罩 --quantity 500 --unit 个 --for hospital-a --key red-cross.key";
        self.json("charity", line)["gift"].as_str().unwrap().to_owned()
    }
}

/// Words between blanks; what stands between apostrophes stays together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

#[test]
fn a_newcomers_journey_over_three_machines() {
    let desk = Desk::new();
    let (office, charity, hospital) =
        (desk.path("office"), desk.path("charity"), desk.path("hospital"));

    // The registrars sign the beginning by file, one after the other.
    desk.run(
        "office",
        "init --origin ledger.example/journey --operator 'Ledger Office' --draft begin.event \
         --registrar 'registry-a:Registry A:registry-a.pub' \
         --registrar 'registry-b:Registry B:registry-b.pub'",
    );
    desk.refused("office", "init --from begin.event", "event-file/unsigned", 1);
    desk.run("office", "event sign begin.event --key registry-a.key");
    desk.run("office", "event sign begin.event --key registry-b.key");
    desk.run("office", "init --from begin.event --trust my.trust");
    assert_eq!(desk.size(), 1);
    assert!(fs::read_to_string(office.join("my.trust")).unwrap().starts_with("giftproof-trust/v1"));

    // The hospital's key never leaves the hospital: its enrolment travels.
    desk.ok("office", &words(&format!(
        "party enroll hospital-a --name 第一医院 --role recipient --draft enrol.event --public-key {}",
        hospital.join("hospital-a.pub").display()
    )));
    copy(&office.join("enrol.event"), &hospital.join("enrol.event"));
    desk.run("hospital", "event sign enrol.event --key hospital-a.key");
    copy(&hospital.join("enrol.event"), &office.join("enrol.event"));
    desk.refused("office", "event submit enrol.event", "event-file/unsigned", 1);
    desk.run("office", "event sign enrol.event --key registry-a.key --key registry-b.key");
    desk.run("office", "event submit enrol.event");
    for (party, role) in [("red-cross", "charity"), ("warehouse", "warehouse")] {
        let key = charity.join(format!("{party}.key"));
        desk.run(
            "office",
            &format!(
                "party enroll {party} --name {party} --role {role} --key {} \
             --key registry-a.key --key registry-b.key",
                key.display()
            ),
        );
    }
    assert_eq!(desk.size(), 4);

    // Donated, carried to a warehouse, received there, carried on.
    let gift = desk.donate();
    desk.run("charity", &format!(
        "dispatch S-1 --to warehouse --gift {gift}=500 --carrier-name 顺丰 --waybill SF1 --key red-cross.key"
    ));
    desk.run("charity", "deliver red-cross/S-1 --place 'Gate 2' --key red-cross.key");
    desk.run("charity", "receive red-cross/S-1 --except '1: short 10' --key warehouse.key");
    desk.run("charity", &format!(
        "dispatch W-1 --to hospital-a --all-of {gift} --key warehouse.key --shipment-file w-1.shipment"
    ));

    // The hospital has no network: the shipment's file is all it has.
    copy(&charity.join("w-1.shipment"), &hospital.join("w-1.shipment"));
    let offline = |arguments: &str| {
        let mut command = desk.command("hospital", &words(arguments));
        command.env_remove("GIFTPROOF_LEDGER").env_remove("GIFTPROOF_OPERATOR_KEY");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments}\n{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(offline("shipment show --shipment-file w-1.shipment").contains("490 个"));
    offline(
        "receive --shipment-file w-1.shipment --key hospital-a.key --on 2026-02-03 \
             --except 'N95: damaged 3, rejected 7' --draft receipt.event",
    );
    let shown = offline("event show receipt.event");
    for said in ["accepted: 480", "damaged: 3", "rejected: 7", "2026-02-03", &gift, "第一医院"]
    {
        assert!(shown.contains(said), "{said} is not in\n{shown}");
    }
    copy(&hospital.join("receipt.event"), &office.join("receipt.event"));
    let before = desk.size();
    assert_eq!(desk.json("office", "event submit receipt.event")["index"], before);
    // The same event again is in the log already.
    let again = desk.json("office", "event submit receipt.event");
    assert_eq!((&again["index"], &again["already"]), (&Value::from(before), &Value::from(true)));
    assert_eq!(desk.size(), before + 1);

    // Looked up, used, exported and audited.
    let verdict = desk.json("office", &format!("lookup {gift}"));
    assert_eq!(verdict["verdict"]["headline"], "received-in-part", "{verdict}");
    desk.run("hospital", &format!("use --gift {gift}=480 --ward 三病区 --key hospital-a.key"));
    desk.run("office", "export ledger.zip");
    assert!(fs::read(office.join("ledger.zip")).unwrap().starts_with(b"PK"));
    desk.run("office", "reindex");
    let ledger = Ledger::open(&desk.ledger()).unwrap();
    let gift = ledger.state().gift_by_id(&gift.parse().unwrap()).unwrap();
    // By hand: 500 given; 10 lost on the way to the warehouse; 480 used, 3 damaged, 7 back.
    let mut there: Vec<u64> = gift.accounts.iter().map(|(_, quantity)| quantity).collect();
    there.retain(|quantity| *quantity > 0);
    there.sort();
    assert_eq!(there, [3, 7, 10, 480]);
}

#[test]
fn mistakes_are_refused_by_their_code_and_change_nothing() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    let nobodys = GiftId::from(&EventHash::from_bytes([7; 32]));
    let mut mistyped = gift.clone();
    mistyped.replace_range(10..11, if &gift[10..11] == "q" { "p" } else { "q" });
    let donate = "donate --item masks --unit piece --key red-cross.key";
    let registrars = "--key ../office/registry-a.key --key ../office/registry-b.key";
    for (line, code, exit) in [
        (format!("{donate} --quantity 5 --for nobody=5"), "party/unknown", 1),
        (format!("{donate} --quantity 5 --for warehouse=5"), "party/role", 1),
        (format!("{donate} --quantity 5 --for hospital-a=6"), "line/shares-exceed", 1),
        (format!("{donate} --quantity 0"), "quantity/zero", 1),
        (format!("{donate} --quantity 1000000000000001"), "quantity/too-large", 1),
        (format!("{donate} --quantity many"), "quantity/malformed", 2),
        (format!("{donate} --quantity 5 --purpose 'a\u{202e}b'"), "text/bidirectional", 2),
        (format!("{donate} --quantity 5 --purpose 'a\u{200b}b'"), "text/invisible", 2),
        (format!("{donate} --quantity 5 --purpose '{}'", "x".repeat(201)), "text/too-long", 2),
        (format!("{donate} --quantity 5 --taker warehouse --taker warehouse"), "usage/twice", 2),
        ("donate --lines a.csv --item masks --key red-cross.key".into(), "usage/conflict", 2),
        (format!("{donate} --quantity 5 --taker hospital-a"), "signer/no-key", 1),
        ("donate --item a --quantity 1 --unit b --key stranger.key".into(), "signer/nobody", 1),
        ("donate --item a --quantity 1 --unit b --key none.key".into(), "keyfile/not-found", 2),
        (format!("use --gift {gift}=501 --key red-cross.key"), "balance/exceeded", 1),
        (format!("use --gift {gift}=1 --key warehouse.key"), "balance/exceeded", 1),
        (format!("use --gift {gift}:2=1 --key red-cross.key"), "line/unknown", 1),
        (format!("use --gift {gift}:1=1 --unit 箱 --key red-cross.key"), "unit/unknown", 1),
        (format!("use --gift {gift}=1 --gift {gift}=2 --key red-cross.key"), "list/duplicate", 1),
        (format!("use --gift {nobodys}=1 --key red-cross.key"), "gift/unknown", 1),
        (format!("use --gift {mistyped}=1 --key red-cross.key"), "gift-id/mistyped", 2),
        ("use --gift waybill-17=1 --key red-cross.key".into(), "gift-id/malformed", 2),
        ("receive red-cross/S-9 --all-accepted --key warehouse.key".into(), "shipment/unknown", 1),
        (
            format!("dispatch S-1 --to red-cross --gift {gift}=1 --key red-cross.key"),
            "shipment/to-oneself",
            1,
        ),
        (
            format!(
                "party enroll warehouse --name W --role warehouse --key stranger.key {registrars}"
            ),
            "party/exists",
            1,
        ),
        (
            format!(
                "party add-key warehouse --public-key red-cross.pub --key red-cross.key {registrars}"
            ),
            "key/taken",
            1,
        ),
        (
            "party enroll new-one --name N --role charity --key stranger.key".into(),
            "registrars/too-few",
            1,
        ),
        (format!("dispute {gift} --claim other --text no --key warehouse.key"), "signer/wrong", 1),
        (format!("withdraw --gift {gift}=1 --key red-cross.key"), "withdrawal/not-announced", 1),
        (format!("correct {gift} --line 2 --quantity 1 --key red-cross.key"), "line/unknown", 1),
        (format!("close-dispute {gift} --text no --key red-cross.key"), "dispute/unknown", 1),
        ("donate --nonsense".into(), "usage/unknown-argument", 2),
        ("nonsense".into(), "usage/unknown-command", 2),
        ("receive".into(), "usage/missing-argument", 2),
        ("list gifts --lang en --lang en".into(), "usage/twice", 2),
        (format!("use --gift {gift}=1 --key red-cross.key --ledger none"), "store/no-folder", 2),
        (format!("use --gift {gift}=1 --key red-cross.key --ledger ."), "store/not-a-ledger", 2),
        (
            format!("use --gift {gift}=1 --key red-cross.key --operator-key red-cross.key"),
            "ledger/wrong-operator-key",
            2,
        ),
    ] {
        desk.refused("charity", &line, code, exit);
    }

    // A key that has ended signs no more.
    desk.run("charity", "party revoke warehouse --key warehouse.key");
    desk.refused("charity", &format!("use --gift {gift}=1 --key warehouse.key"), "key/ended", 1);

    // Goods that were not sent to the signer are not taken by mistake.
    desk.run(
        "charity",
        &format!("dispatch S-2 --to hospital-a --gift {gift}=1 --key red-cross.key"),
    );
    let wrong = "receive red-cross/S-2 --all-accepted --key red-cross.key";
    desk.refused("charity", wrong, "shipment/other-taker", 1);

    // While one process has the ledger, another one waits its turn.
    let open = Ledger::open(&desk.ledger()).unwrap();
    desk.refused("charity", &format!("{donate} --quantity 5"), "store/locked", 2);
    drop(open);
}

#[test]
fn event_files_that_were_tampered_with_are_refused() {
    let desk = Desk::with_ledger();
    let path = desk.path("charity").join("d.event");
    desk.run(
        "charity",
        "donate --item masks --quantity 5 --unit piece --key red-cross.key --draft d.event",
    );
    let good: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let refused = |change: &dyn Fn(&mut Value), code, exit| {
        let mut file = good.clone();
        change(&mut file);
        fs::write(&path, file.to_string()).unwrap();
        desk.refused("charity", "event submit d.event", code, exit);
    };
    refused(&|file| file["signatures"][0] = Value::Null, "event-file/unsigned", 1);
    refused(&|file| file["signatures"] = Value::Array(Vec::new()), "event-file/malformed", 2);
    refused(
        &|file| file["signatures"][0] = Value::from("A".repeat(86) + "=="),
        "signature/invalid",
        1,
    );
    refused(&|file| file["genesis"] = Value::from("07".repeat(32)), "event/other-ledger", 1);
    refused(&|file| file["kind"] = Value::from(999), "event/unknown-kind", 2);
    refused(
        &|file| file["format"] = Value::from("giftproof-event/v2"),
        "event-file/newer-version",
        2,
    );
    refused(&|file| file["more"] = Value::from(1), "event-file/malformed", 2);
    refused(&|file| file["body"] = Value::from("AAAA"), "encoding/truncated", 1);
    let text = good.to_string();
    for len in [0, 1, text.len() / 2, text.len() - 1] {
        fs::write(&path, &text[..len]).unwrap();
        desk.refused("charity", "event submit d.event", "event-file/malformed", 2);
    }
    fs::write(&path, text).unwrap();
    desk.refused("charity", "event sign d.event --key warehouse.key", "event-file/not-asked", 1);
    desk.run("charity", "event submit d.event");
}

#[test]
fn keys_are_encrypted_unless_told_otherwise() {
    let desk = Desk::new();
    desk.refused("office", "key new secret.key", "keyfile/no-passphrase", 2);
    fs::write(desk.path("office").join("right"), "correct horse\n").unwrap();
    fs::write(desk.path("office").join("wrong"), "battery staple\n").unwrap();
    let with = |file: &str, line: &str| {
        let mut command = desk.command("office", &words(line));
        command.env("GIFTPROOF_PASSPHRASE_FILE", file).env_remove("GIFTPROOF_LEDGER");
        command.output().unwrap()
    };
    assert!(with("right", "key new secret.key").status.success());
    let pem = fs::read_to_string(desk.path("office").join("secret.key")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let public = fs::read(desk.path("office").join("secret.pub")).unwrap();
    assert_eq!(with("right", "key show secret.key").stdout, public);
    let refused = with("wrong", "key show secret.key");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("[keyfile/wrong-passphrase]"));
    desk.refused("office", "key new secret.key --unencrypted", "file/exists", 2);
}

#[test]
fn both_languages_and_programs_are_told_the_same() {
    let desk = Desk::with_ledger();
    let said = |locale: &str, line: &str| {
        let output = desk.command("charity", &words(line)).env("LC_ALL", locale).output().unwrap();
        (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
    };
    assert!(said("C", "donate --help").0.contains("Example:\n  giftproof donate"));
    assert!(said("zh_CN.UTF-8", "donate --help").0.contains("示例:\n  giftproof donate"));
    assert!(said("zh_CN.UTF-8", "donate --help --lang en").0.contains("Example:"));
    assert!(said("C", "--lang zh party enroll --help").0.contains("参与方"));

    let line = "use --gift gift1x=1 --key red-cross.key";
    assert!(said("C", line).1.contains("this gift id is mistyped"));
    assert!(said("zh_CN.UTF-8", line).1.contains("捐赠编号有误"));
    let (answer, _) = said("C", &format!("{line} --json"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"]["code"], "gift-id/mistyped");
    assert!(!answer["error"]["hint"].as_str().unwrap().is_empty());
}

#[test]
fn columns_stand_in_line_whatever_the_width_of_characters() {
    let desk = Desk::with_ledger();
    let registrars = "--key registry-a.key --key registry-b.key";
    desk.run("office", &format!("party update hospital-a --name 武汉市第一医院 {registrars}"));
    let list = desk.run("office", "party list --lang zh");
    let starts = |line: &str, cell: &str| line.find(cell).map(|at| line[..at].width());
    let lines: Vec<&str> = list.lines().collect();
    let column = starts(lines[0], "角色").unwrap();
    let at = |handle: &str, role: &str| {
        starts(lines.iter().find(|line| line.starts_with(handle)).unwrap(), role).unwrap()
    };
    assert_eq!(at("hospital-a", "最终接收单位"), column);
    assert_eq!(at("red-cross", "慈善组织"), column);
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf_8_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;

    let desk = Desk::with_ledger();
    let bytes = std::ffi::OsStr::from_bytes(b"a\xff");
    let donate = "donate --item a --quantity 1 --unit b --key red-cross.key --purpose";
    let output = desk.command("charity", &words(donate)).arg(bytes).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("[usage/not-utf-8]\ngiftproof: hint: "), "{told}");
    assert_eq!(desk.size(), 4);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let desk = Desk::new();
    let mut child = desk
        .command("office", &words("completions bash"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn slips_one_time_keys_and_their_gifts() {
    let desk = Desk::with_ledger();
    let donate =
        "donate --item masks --quantity 5 --unit piece --for hospital-a --key red-cross.key";
    let slip = desk.json("charity", &format!("{donate} --slip slip.key"));
    let gift = slip["gift"].as_str().unwrap();
    // The donor takes the gift over with a key that the charity never had.
    desk.run(
        "charity",
        &format!("take-over {gift} --key slip.key --new-key mine.key --unencrypted"),
    );
    let dispute = format!("dispute {gift} --claim not-received --text 'nothing came' --key");
    desk.refused("charity", &format!("{dispute} slip.key"), "signer/nobody", 1);
    desk.run("charity", &format!("{dispute} mine.key"));
    desk.refused("charity", &format!("{dispute} mine.key"), "dispute/open", 1);

    // A refused donation leaves no key file behind.
    desk.refused(
        "charity",
        &format!("{donate} --for nobody=1 --slip other.key"),
        "party/unknown",
        1,
    );
    assert!(!desk.path("charity").join("other.key").exists());
}
