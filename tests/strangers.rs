//! Three strangers in three folders, by the real binary: a donor with a proof, a regulator that
//! audits twice, a hospital association that witnesses, and catches its operator forking.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::cli::{Desk, words};

/// A person with a folder, who has never seen the ledger.
struct Stranger<'a> {
    desk: &'a Desk,
    folder: &'static str,
}

impl<'a> Stranger<'a> {
    fn new(desk: &'a Desk, folder: &'static str) -> Self {
        fs::create_dir(desk.path(folder)).unwrap();
        Self { desk, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.desk.path(self.folder).join(name)
    }

    fn ask(&self, line: &str, piped: Option<&[u8]>) -> Output {
        let mut command = self.desk.command(self.folder, &words(line));
        command.env_remove("GIFTPROOF_LEDGER").env_remove("GIFTPROOF_OPERATOR_KEY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Who has read enough hangs up.
        let _ = stdin.write_all(piped.unwrap_or_default());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// What it is told, exit code and all.
    fn told(&self, line: &str, exit: i32) -> String {
        let output = self.ask(line, None);
        let page = String::from_utf8(output.stdout).unwrap();
        let told = format!("{page}{}", String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(exit), "{line}\n{told}");
        told
    }

    fn json(&self, line: &str, exit: i32) -> Value {
        let output = self.ask(&format!("{line} --json"), None);
        assert_eq!(output.status.code(), Some(exit), "{line}\n{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A gift that went to the hospital and arrived with two short, and was sealed.
fn given() -> (Desk, String) {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    let dispatch = "dispatch S-1 --to hospital-a --carrier-name 顺丰 --waybill SF1";
    desk.run("charity", &format!("{dispatch} --gift {gift}=500 --key red-cross.key"));
    desk.run("hospital", "receive red-cross/S-1 --except '1: short 2' --key hospital-a.key");
    desk.run("office", "seal");
    (desk, gift)
}

/// A page's paragraphs.
fn paragraphs(page: &str) -> Vec<&str> {
    page.split("\n\n").map(str::trim_end).collect()
}

#[test]
fn a_donor_verifies_a_proof_with_the_trust_file_alone() {
    let (desk, gift) = given();
    let donor = Stranger::new(&desk, "donor");
    let looked_up: Vec<String> = ["en", "zh"]
        .map(|lang| {
            let line = format!("lookup {gift} --lang {lang} --proof ../donor/{lang}.proof");
            desk.run("office", &line)
        })
        .into();
    let strange = "gift1zurswpc8qurswpc8qurswpc8qurswpc83a9477";
    desk.refused(
        "office",
        &format!("lookup {strange} --proof ../donor/no.proof"),
        "lookup/not-found",
        1,
    );
    desk.run("office", "trust ../donor/my.trust");
    let answer = desk.json("office", &format!("lookup {gift}"));
    fs::rename(desk.ledger(), desk.path("gone")).unwrap();

    for (language, looked_up) in ["en", "zh"].iter().zip(&looked_up) {
        let verify = format!("verify {language}.proof --trust my.trust --lang {language}");
        let page = donor.told(&verify, 0);
        // All but what `lookup` says at the foot about itself.
        let ours = paragraphs(looked_up);
        let (journey, _) = ours.split_at(ours.len() - 2);
        assert_eq!(&paragraphs(&page)[..journey.len()], journey, "{page}\n---\n{looked_up}");
        let proof = fs::read(donor.path(&format!("{language}.proof"))).unwrap();
        let piped = donor.ask(&format!("verify --trust my.trust --lang {language}"), Some(&proof));
        assert_eq!(String::from_utf8(piped.stdout).unwrap(), page);
    }
    let verified = donor.json("verify en.proof --trust my.trust", 0);
    assert_eq!(verified["journey"], answer["journey"]);
    assert_eq!(
        (&verified["gift"], &verified["level"]),
        (&gift.as_str().into(), &"complete".into())
    );

    let mut tampered = fs::read(donor.path("en.proof")).unwrap();
    let at = tampered.windows(3).position(|three| three == "N95".as_bytes()).unwrap();
    tampered[at + 1] = b'8';
    fs::write(donor.path("tampered.proof"), tampered).unwrap();
    for language in ["en", "zh"] {
        let line = format!("verify tampered.proof --trust my.trust --lang {language}");
        assert!(donor.told(&line, 1).contains("[proof-file/gift]"));
        let page = donor.told(&format!("verify no.proof --trust my.trust --lang {language}"), 0);
        assert!(page.contains(strange), "{page}");
    }
    let absent = donor.json("verify no.proof --trust my.trust", 0);
    assert_eq!((&absent["exists"], &absent["level"]), (&false.into(), &"complete".into()));
}

#[test]
fn a_regulator_audits_twice_and_the_donors_proof_says_so() {
    let (desk, gift) = given();
    let regulator = Stranger::new(&desk, "regulator");
    desk.run("office", "export ../regulator/one.zip --trust ../regulator/my.trust");
    let page = regulator.told("audit one.zip --trust my.trust --save-state one.state", 0);
    let hash = page.lines().find_map(|line| line.strip_prefix("state hash ")).unwrap();

    let before = desk.size();
    desk.donate();
    desk.run("office", "export ../regulator/two.zip");
    regulator.told("key new auditor.key --unencrypted", 0);
    let sign = "--statement clean.note --sign-key auditor.key --name audit.example/health";
    let since = format!("audit two.zip --trust my.trust --since one.state --state-hash {hash}");
    let page = regulator.told(&format!("{since} {sign}"), 0);
    assert!(page.contains(&format!("Checked 1 new entries of {}", before + 1)), "{page}");
    regulator.told(&format!("{since} --lang zh"), 0);
    let (resumed, whole) =
        (regulator.json(&since, 0), regulator.json("audit two.zip --trust my.trust", 0));
    for finding in ["outcome", "size", "root", "events", "failures", "differences", "warnings"] {
        assert_eq!(resumed[finding], whole[finding], "{finding}");
    }
    let key = regulator
        .json(&format!("audit two.zip --trust my.trust {}", sign.replace("clean", "again")), 0);
    let auditor = key["auditor"].as_str().unwrap();

    // The regulator publishes its key and its statement.
    let donor = Stranger::new(&desk, "donor");
    let line =
        format!("lookup {gift} --statement ../regulator/clean.note --proof ../donor/gift.proof");
    desk.run("office", &line);
    let trust = fs::read_to_string(regulator.path("my.trust")).unwrap();
    fs::write(donor.path("my.trust"), &trust).unwrap();
    let trust = trust.replacen("\n\n", &format!("\nauditor {auditor}\n\n"), 1);
    fs::write(donor.path("audited.trust"), trust).unwrap();
    for (language, said) in [("en", "audit.example/health"), ("zh", "audit.example/health")] {
        let page =
            donor.told(&format!("verify gift.proof --trust audited.trust --lang {language}"), 0);
        assert!(page.contains(said), "{page}");
    }
    let verified = donor.json("verify gift.proof --trust audited.trust", 0);
    assert_eq!(verified["level"], "audited");
    assert_eq!(verified["auditors"][0]["name"], "audit.example/health");
    assert_eq!(verified["auditors"][0]["size"], before + 1);
    // To who does not know the auditor, its word is none.
    assert_eq!(donor.json("verify gift.proof --trust my.trust", 0)["level"], "complete");
}

#[test]
#[cfg(feature = "serve")]
fn an_association_witnesses_and_catches_its_operator_forking() {
    use giftproof::model::checkpoint::SignedCheckpoint;
    use giftproof::model::witness::AddCheckpoint;

    use crate::witness::run::{NAMED, Process};

    const DONATE: &str =
        "donate --item gowns --quantity 9 --unit box --key ../charity/red-cross.key";
    const ELSEWHERE: &str = "--ledger ledger --operator-key operator.key";

    let (desk, gift) = given();
    desk.run("office", "trust ../hospital/giftproof.trust");
    let association = Process::start(&desk, NAMED);
    let line =
        format!("witness add association {} http://{}", association.vkey, association.address);
    desk.run("office", &line);
    desk.run("office", "witness quorum all");
    let donor = Stranger::new(&desk, "donor");
    desk.run("office", "trust ../donor/my.trust");
    assert!(fs::read_to_string(donor.path("my.trust")).unwrap().contains("quorum witnesses"));
    desk.run("office", &format!("lookup {gift} --proof ../donor/gift.proof"));
    for language in ["en", "zh"] {
        let page = donor.told(&format!("verify gift.proof --trust my.trust --lang {language}"), 0);
        assert!(page.contains("association"), "{page}");
    }
    let verified = donor.json("verify gift.proof --trust my.trust", 0);
    assert_eq!(verified["witnesses"][0]["name"], "association");

    // The operator goes on twice from one state, key, mark and all.
    let fork = desk.path("fork");
    crate::util::copy_folder(&desk.path("office"), &fork);
    desk.donate();
    let told = desk.command("fork", &words(&format!("{DONATE} {ELSEWHERE}"))).output().unwrap();
    assert_eq!(told.status.code(), Some(2), "the program itself does not go on from an old state");
    assert!(String::from_utf8(told.stderr).unwrap().contains("[ledger/behind-witness]"));
    // But this operator is bent on it, asks nobody, and shows both stories to the association.
    for line in ["witness quorum none", "witness remove association", DONATE] {
        desk.run("fork", &format!("{line} {ELSEWHERE}"));
    }
    let note = fs::read(fork.join("ledger/checkpoint")).unwrap();
    let checkpoint = SignedCheckpoint::parse(&note).unwrap();
    let old_size = checkpoint.checkpoint().size;
    assert_eq!(old_size, desk.size());
    let request = AddCheckpoint { old_size, proof: Vec::new(), checkpoint };
    assert_eq!(association.post(&request).0, 422);
    let told = association.stop();
    assert!(told.contains("FORK: the log ledger.example/test"), "{told}");
    let case = told.lines().find_map(|line| line.split_once("both are in ")).unwrap().1;
    let case = desk.path("hospital").join(case);
    let kept = |name: &str| fs::read(case.join(name)).unwrap();

    // Nobody who demands the association believes the other story.
    desk.run("fork", &format!("lookup {gift} --proof ../donor/fork.proof {ELSEWHERE}"));
    for language in ["en", "zh"] {
        let line = format!("verify fork.proof --trust my.trust --lang {language}");
        assert!(donor.told(&line, 1).contains("[trust/policy]"));
    }

    // What the association has kept accuses the operator before anybody.
    let fourth = Stranger::new(&desk, "fourth");
    fs::write(fourth.path("cosigned"), kept("cosigned")).unwrap();
    fs::write(fourth.path("offered"), kept("offered")).unwrap();
    fs::copy(desk.path("hospital").join("giftproof.trust"), fourth.path("my.trust")).unwrap();
    fourth.told("compare cosigned offered --trust my.trust --out the.fraud", 1);
    fs::remove_file(fourth.path("cosigned")).unwrap();
    fs::remove_file(fourth.path("offered")).unwrap();
    for language in ["en", "zh"] {
        let page = fourth.told(&format!("verify the.fraud --trust my.trust --lang {language}"), 1);
        assert!(page.contains("ledger.example/test"), "{page}");
    }
    let accused = fourth.json("verify the.fraud --trust my.trust", 1);
    assert_eq!(accused["accusation"]["deed"], "two-trees", "{accused}");
    let operator = fs::read_to_string(desk.path("office").join("operator.pub")).unwrap();
    assert_eq!(accused["accusation"]["heads"][0]["key"], operator.trim());
}
