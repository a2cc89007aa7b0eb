//! ledger-spec.md against the code: its example, its codes, its numbers, its sections.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use giftproof::cli::failure::Failure;
use giftproof::cli::locales::Language;
use giftproof::model::event::*;
use giftproof::model::hash::leaf_hash;
use giftproof::model::ident::GiftId;
use giftproof::model::text::forbidden;
use giftproof::model::verdict::Headline;
use giftproof::model::violation::Code;

use crate::vectors::statements::first_receipt;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn spec() -> String {
    fs::read_to_string(root().join("ledger-spec.md")).unwrap()
}

/// The part of the specification under a heading, up to the next heading of the same depth.
fn section<'a>(spec: &'a str, heading: &str) -> &'a str {
    let from = spec.find(&format!("\n{heading} ")).expect("the heading is there") + 1;
    let depth = heading.split(' ').next().unwrap();
    let len = spec[from + 1..].find(&format!("\n{depth} ")).unwrap_or(spec.len() - from - 1);
    &spec[from..from + 1 + len]
}

#[test]
fn the_entry_on_the_first_screen_is_what_the_code_makes() {
    let spec = spec();
    let block = spec.split("```entry\n").nth(1).unwrap().split("```").next().unwrap();
    // The bytes stand in the first 64 columns, the words beside them.
    let hex: String =
        block.lines().flat_map(|line| line.chars().take(64)).filter(|c| *c != ' ').collect();
    let log = first_receipt();
    let entry = log.entries.last().unwrap();
    assert_eq!(hex, hex::encode(entry));

    let state = &log.world.state;
    let gift = state.gifts.iter().next().unwrap().id;
    let event = log.world.log.entries.last().unwrap().event.clone();
    for value in [
        leaf_hash(entry).to_string(),
        event.open(&state.genesis).unwrap().hash.to_string(),
        state.genesis.to_string(),
        log.root().to_string(),
        GiftId::from(&gift).to_string(),
    ] {
        assert!(spec.contains(&format!("| `{value}` |")), "{value}");
    }
    let indented: String = log.trust().to_string().lines().map(indent).collect();
    assert!(spec.contains(&indented), "{indented}");
}

fn indent(line: &str) -> String {
    if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }
}

/// Every Rust file below a folder, without its unit tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                found.push((path, code));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn every_code_in_the_source_is_in_the_specification() {
    let spec = spec();
    let mut codes = BTreeSet::new();
    for folder in ["src/model", "src/bundle", "src/store", "src/verify", "src/witness"] {
        for (_, source) in sources(folder) {
            let literals = source.split('"').skip(1).step_by(2);
            codes.extend(literals.filter(|text| is_code(text)).map(str::to_owned));
        }
    }
    assert!(codes.len() > 150, "{}", codes.len());
    for code in codes {
        assert!(spec.contains(&format!("`{code}`")), "{code}");
    }
}

#[test]
fn what_stops_a_command_is_told_with_a_hint_in_both_languages() {
    // Signatures, proofs, tiles, policies and keys that are wrong are named inside other codes;
    // a warning stops nothing; a witness's answers stop no command.
    let details = [
        "cosign/",
        "entries/",
        "key/",
        "keyfile/permissions",
        "map/",
        "policy/",
        "proof/",
        "request/",
        "seal-path/",
        "signature/",
        "tree/",
        "trust/",
        "vkey/",
        "warning/",
    ];
    let mut told = 0;
    for (path, source) in sources("src") {
        for code in source.split('"').skip(1).step_by(2).filter(|text| is_code(text)) {
            if details.iter().any(|family| code.starts_with(family)) {
                continue;
            }
            let failure = Failure::new(code);
            // In English, the error's own words may do.
            assert_ne!(failure.message(Language::Chinese), code, "{}", path.display());
            for language in [Language::English, Language::Chinese] {
                assert!(failure.hint(language).is_some(), "{code} in {}", path.display());
            }
            told += 1;
        }
    }
    assert!(told > 200, "{told}");
}

/// Two words of lower-case letters, digits and hyphens, with a slash between them.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    // `cosignature/v1` and the like are first lines of files, not codes.
    let version = |word: &str| {
        word.strip_prefix('v').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    text.split_once('/').is_some_and(|(kind, fault)| word(kind) && word(fault) && !version(fault))
}

#[test]
fn codes_stand_in_their_order_of_precedence() {
    let spec = spec();
    let rows = section(&spec, "### 12.1").lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let ours: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, ours);
}

#[test]
fn every_section_that_the_source_cites_exists() {
    let spec = spec();
    let headings: BTreeSet<&str> = spec
        .lines()
        .filter_map(|line| {
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        })
        .map(|title| title.split(' ').next().unwrap().trim_end_matches('.'))
        .collect();
    let mut cited = 0;
    for (path, source) in sources("src") {
        for after in source.split("spec section").skip(1) {
            // "s 5.1 to 5.10)", " 2.3).", "s 8 and 9).", " 3, RFC 8032)"
            let words = after.trim_start_matches('s').split_whitespace();
            let numbers =
                words.map_while(|word| match word.trim_end_matches([')', '.', ',', ':']) {
                    "to" | "and" => Some(None),
                    number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                        Some(Some(number))
                    }
                    _ => None,
                });
            for number in numbers.flatten() {
                assert!(headings.contains(number), "{number}, cited in {}", path.display());
                cited += 1;
            }
        }
    }
    assert!(cited > 20, "{cited}");
}

#[test]
fn kinds_have_their_numbers() {
    let spec = spec();
    let kinds = section(&spec, "### 4.5");
    for (place, kind) in Kind::ALL.iter().enumerate() {
        let row = format!("| {} | {} | 5.{} |", *kind as u16, kind.word(), place + 1);
        assert!(kinds.contains(&row), "{row}");
        let heading = format!("\n### 5.{} {} ({})\n", place + 1, kind.word(), *kind as u16);
        assert!(spec.contains(&heading), "{heading}");
    }
}

#[test]
fn every_number_of_a_code_has_its_word() {
    let spec = spec();
    let statements = section(&spec, "## 4.").to_owned() + section(&spec, "## 5.");
    macro_rules! check {
        ($($name:ident)*) => {$(for value in $name::ALL {
            let pair = format!("{} {}", *value as u8, value.word());
            assert!(statements.contains(&pair), concat!(stringify!($name), " {}"), pair);
        })*};
    }
    check! {
        Capacity DocumentKind ReasonCode PartyKind Role ClockKind DonorKind ValueBasis Consent
        UnitChoice Purpose Condition Fate HoldCause Claim EvidenceKind
    }
}

#[test]
fn the_refused_characters_are_those_of_the_code() {
    let spec = spec();
    let mut listed = BTreeSet::new();
    for row in section(&spec, "### 2.3").lines().filter(|line| line.contains("| U+")) {
        let code = row.split('`').nth(1).unwrap();
        for range in row.split("U+").skip(1) {
            let range: String =
                range.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect();
            let (first, last) = range.split_once('-').unwrap_or((&range, &range));
            let number = |hex: &str| u32::from_str_radix(hex, 16).unwrap();
            listed.extend((number(first)..=number(last)).map(|point| (point, code)));
        }
    }
    let points = (0..=0x10_ffffu32).filter_map(char::from_u32);
    let ours: BTreeSet<(u32, &str)> =
        points.filter_map(|c| forbidden(c).map(|code| (c as u32, code))).collect();
    assert_eq!(listed, ours);
}

#[test]
fn headlines_stand_in_the_order_in_which_they_are_tried() {
    let spec = spec();
    let mut listed: Vec<&str> = Vec::new();
    for row in section(&spec, "### 9.6").lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.split(" | ");
        if let (Some(number), Some(word)) = (cells.next(), cells.next())
            && number.trim_start_matches("| ").parse::<u32>().is_ok()
        {
            listed.push(word);
        }
    }
    let ours: BTreeSet<&str> = Headline::ALL.iter().map(|headline| headline.word()).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), ours);
}
