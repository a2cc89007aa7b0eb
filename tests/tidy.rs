//! The walls of the house: which room may use which, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<PathBuf> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    files.sort();
    assert!(files.len() > 20, "the sources are not where they are looked for");
    files
}

/// The path below `src`, for example `model/state/gift.rs`.
fn name(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

/// The code without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
}

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    // The room, and what of this crate it may name.
    let edges: &[(&str, &[&str])] = &[
        ("model/", &["model"]),
        ("bundle/", &["bundle", "model"]),
        ("store/", &["store", "model"]),
        ("verify/", &["verify", "bundle", "model"]),
        ("prove.rs", &["prove", "bundle", "model"]),
        ("mirror/", &["mirror", "verify", "bundle", "model"]),
        ("witness/", &["witness", "bundle", "model"]),
        ("keyfile.rs", &["keyfile", "model"]),
        ("ledger/", &["ledger", "store", "bundle", "model"]),
        ("repair/", &["repair", "ledger", "store", "bundle", "model"]),
        ("transfer.rs", &["transfer", "ledger", "verify", "bundle", "store", "model"]),
        ("cosign/", &["cosign", "ledger", "model"]),
        ("writer/", &["writer", "cosign", "ledger", "store", "bundle", "model"]),
        ("import/", &["import", "writer", "ledger", "model"]),
    ];
    let mut wrong = Vec::new();
    for path in sources() {
        let name = name(&path);
        let Some((_, allowed)) = edges.iter().find(|(room, _)| name.starts_with(room)) else {
            continue;
        };
        for (at, line) in code(&path).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (found, _) in line.match_indices("crate::") {
                let rest = &line[found + "crate::".len()..];
                let room: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !room.is_empty() && !allowed.contains(&room.as_str()) {
                    wrong.push(format!("{name}:{}: {room}", at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "rooms reach where they must not:\n{}", wrong.join("\n"));
}

#[test]
fn the_model_knows_no_clock_no_disk_and_no_net() {
    let mut wrong = Vec::new();
    for path in sources() {
        let name = name(&path);
        if !name.starts_with("model/") {
            continue;
        }
        for word in ["std::fs", "std::net", "std::time", "SystemTime", "sled::", "std::env"] {
            if code(&path).contains(word) {
                wrong.push(format!("{name}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unwraps_outside_tests() {
    let unwraps = sources().into_iter().filter(|path| code(path).contains(".unwrap()"));
    let names: Vec<String> = unwraps.map(|path| name(&path)).collect();
    assert!(names.is_empty(), "{}", names.join("\n"));
}

#[test]
fn no_file_grows_beyond_six_hundred_lines() {
    let long = sources().into_iter().filter_map(|path| {
        let lines = code(&path).lines().count();
        (lines > 600).then(|| format!("{}: {lines}", name(&path)))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "look for the seam:\n{}", long.join("\n"));
}
