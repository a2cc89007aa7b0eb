//! The real binary against files that are wrong: refused by a code, with a hint, in both languages,
//! and never a panic.

use std::fs;

use crate::cli::Desk;

/// Puts a file on the charity's machine.
fn put(desk: &Desk, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(desk.path("charity").join(name), bytes).unwrap();
}

#[test]
fn what_is_no_bundle_is_told_apart_from_a_changed_one() {
    let desk = Desk::with_ledger();
    desk.run("charity", "export whole.zip");
    let whole = fs::read(desk.path("charity").join("whole.zip")).unwrap();
    fs::create_dir(desk.path("charity").join("empty")).unwrap();
    put(&desk, "nothing.zip", "");
    put(&desk, "noise.zip", [7; 3000]);
    put(&desk, "cut.zip", &whole[..whole.len() / 2]);
    // Byte 0 is the P of the first record.
    put(&desk, "changed.zip", [b"p", &whole[1..]].concat());
    for (source, code, exit) in [
        ("nothing.zip", "bundle/truncated", 1),
        ("noise.zip", "bundle/truncated", 1),
        ("cut.zip", "bundle/truncated", 1),
        ("changed.zip", "bundle/not-canonical", 1),
        ("empty", "bundle/missing", 2),
        ("none.zip", "file/not-found", 2),
    ] {
        desk.refused("charity", &format!("audit {source}"), code, exit);
        desk.refused("charity", &format!("audit {source} --lang zh"), code, exit);
    }
}

#[test]
fn what_is_no_trust_file_is_said_to_be_none() {
    let desk = Desk::with_ledger();
    desk.run("charity", "export whole.zip");
    let trust = fs::read_to_string(desk.ledger().join("giftproof.trust")).unwrap();
    let (first_line, _) = trust.split_once('\n').unwrap();
    put(&desk, "empty.trust", "");
    put(&desk, "words.trust", "please trust me\n");
    put(&desk, "bytes.trust", [0xff; 40]);
    put(&desk, "cut.trust", &trust[..first_line.len() + 20]);
    // A genesis hash that is none says nothing about the ledger.
    put(&desk, "hash.trust", trust.replace("\ngenesis ", "\ngenesis x"));
    for file in ["empty", "words", "bytes", "cut", "hash"] {
        let audit = format!("audit whole.zip --trust {file}.trust");
        desk.refused("charity", &audit, "trust-file/malformed", 2);
    }
    put(&desk, "large.trust", vec![b'x'; 5 << 20]);
    desk.refused("charity", "audit whole.zip --trust large.trust", "file/too-large", 2);
}

#[test]
fn what_exists_is_not_overwritten_and_folders_are_not_made() {
    let desk = Desk::with_ledger();
    put(&desk, "kept.zip", "kept");
    desk.refused("charity", "export kept.zip", "file/exists", 2);
    assert_eq!(fs::read(desk.path("charity").join("kept.zip")).unwrap(), b"kept");
    let donate = "donate --item a --quantity 1 --unit b --key red-cross.key";
    for line in [
        "export none/a.zip".to_owned(),
        "export a.zip --trust none/a.trust".to_owned(),
        "key new none/a.key --unencrypted".to_owned(),
        format!("{donate} --draft none/a.event"),
    ] {
        desk.refused("charity", &line, "file/no-folder", 2);
    }
    for size in ["0", "5", "18446744073709551615"] {
        desk.refused("charity", &format!("export b.zip --until {size}"), "export/no-such-size", 2);
    }
}

#[test]
fn rows_that_are_no_lines_of_goods_are_named() {
    let desk = Desk::with_ledger();
    for (rows, told) in [
        (
            "item,quantity,unit\nmask,5,piece\ngown,many,piece\n",
            "row 3: a quantity is a whole number",
        ),
        ("item,quantity\nmask,5\n", "row 2: a line of goods needs --unit"),
        ("item,quantity,unit,colour\nmask,5,piece,red\n", "row 2: there is no column"),
        ("item,quantity,unit\nmask,5\n", "row 2: it has not as many cells"),
        ("item,quantity,unit\na\u{200b}b,5,piece\n", "row 2: a text holds a character"),
    ] {
        put(&desk, "rows.csv", rows);
        let line = "donate --lines rows.csv --key red-cross.key";
        let error = desk.refused("charity", line, "csv/row", 2);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn keys_that_are_none_are_refused_before_anybody_signs() {
    let desk = Desk::with_ledger();
    let enroll = "party enroll new-one --name N --role charity --draft enrol.event --public-key";
    put(&desk, "noise.pub", [0xff; 40]);
    put(&desk, "large.pub", vec![b'0'; 1 << 20]);
    // The identity, a point of order 4, and a y that is not below the prime (RFC 8032).
    let identity = format!("01{}", "00".repeat(31));
    let torsion = "00".repeat(32);
    let not_canonical = format!("ee{}7f", "ff".repeat(30));
    for (key, code, exit) in [
        (identity.as_str(), "key/invalid", 1),
        (&torsion, "key/invalid", 1),
        (&not_canonical, "key/invalid", 1),
        ("noise.pub", "key/not-public", 2),
        ("large.pub", "file/too-large", 2),
        ("none.pub", "file/not-found", 2),
    ] {
        desk.refused("charity", &format!("{enroll} {key}"), code, exit);
        assert!(!desk.path("charity").join("enrol.event").exists(), "{key}");
    }
}

#[test]
fn a_list_or_map_that_cannot_be_read_is_told_with_a_hint() {
    let desk = Desk::with_ledger();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scms-deliveries");
    put(&desk, "list.csv", "");
    put(&desk, "noise", [0xff; 40]);
    put(&desk, "broken.toml", "x = [");
    let import = |list: &str, map: &str, code: &str| {
        desk.refused("charity", &format!("import {list} --map {map} --dry-run"), code, 2);
    };
    import("list.csv", "broken.toml", "import/malformed");
    import("list.csv", "noise", "file/not-utf-8");
    import("list.csv", &format!("{fixtures}/deliveries.toml"), "import/malformed");
    import("noise", &format!("{fixtures}/deliveries.toml"), "import/malformed");
}
