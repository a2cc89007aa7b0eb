//! README: its walk-through is run as it stands, and the demo prints what its first screen shows.

use std::fs;
use std::process::Command;

/// The shell commands between the walk-through's marks.
fn commands(file: &str) -> String {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let walk = text.split("<!-- walk -->").nth(1).unwrap().split("<!-- /walk -->").next().unwrap();
    let blocks = walk.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn the_walk_through_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("passphrase"), "correct horse battery staple\n").unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("giftproof");
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let walked = Command::new("bash")
        .args(["-e", "-c", &commands("README.md")])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOME", folder.path())
        .env("LC_ALL", "C.UTF-8")
        .env("GIFTPROOF_PASSPHRASE_FILE", folder.path().join("passphrase"))
        .output()
        .unwrap();
    let said = String::from_utf8(walked.stdout).unwrap();
    assert!(walked.status.success(), "{said}\n{}", String::from_utf8_lossy(&walked.stderr));
    assert!(said.contains("Received, with differences: 995 of 1,000 个 accepted"), "{said}");
    assert!(said.contains("Clean: the ledger is what it says it is"), "{said}");
}

#[test]
fn both_readmes_walk_the_same_way() {
    assert_eq!(commands("README.md"), commands("README.zh-CN.md"));
}

/// What the first screen shows of the demo is what it prints; only keys are new in each run.
#[test]
fn the_first_screen_shows_what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    for (file, language) in [("README.md", "en"), ("README.zh-CN.md", "zh")] {
        let demo = Command::new(assert_cmd::cargo::cargo_bin!("giftproof"))
            .args(["demo", "--lang", language, "--color", "never"])
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        assert!(demo.status.success());
        let words = |text: &str| text.split_whitespace().collect::<String>();
        let printed = words(std::str::from_utf8(&demo.stdout).unwrap());
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        let screen = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        // A key is cut short, and ends with dots.
        let parts = screen.lines().flat_map(|line| match line.split_once("... ") {
            Some((before, after)) => vec![&before[..before.len() - 8], after],
            None => vec![line],
        });
        let shown: Vec<&str> = parts.filter(|part| !part.is_empty() && *part != "...").collect();
        assert!(shown.len() > 10, "{file}");
        for part in shown {
            assert!(printed.contains(&words(part)), "{file}: {part}");
        }
    }
}
