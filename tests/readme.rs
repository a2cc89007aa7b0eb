//! README's walk-through, run as it stands.

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
