//! Texts that people see, in English and Chinese, by key (`*.en.toml`, `*.zh.toml`).
//!
//! A text may hold places to fill: `{name}`. Both files have the same keys with the same places; a
//! test sees to that.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A language that the texts exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language of a locale such as `zh_CN.UTF-8`; English when it is none of ours.
    pub fn of_locale(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("zh") { Self::Chinese } else { Self::English }
    }

    fn texts(self) -> &'static HashMap<String, String> {
        static ENGLISH: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
            read(&[
                include_str!("en.toml"),
                include_str!("guide.en.toml"),
                include_str!("verdict.en.toml"),
                include_str!("demo.en.toml"),
                include_str!("cosign.en.toml"),
                include_str!("witness.en.toml"),
                include_str!("fraud.en.toml"),
                include_str!("repair.en.toml"),
                include_str!("transfer.en.toml"),
            ])
        });
        static CHINESE: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
            read(&[
                include_str!("zh.toml"),
                include_str!("guide.zh.toml"),
                include_str!("verdict.zh.toml"),
                include_str!("demo.zh.toml"),
                include_str!("cosign.zh.toml"),
                include_str!("witness.zh.toml"),
                include_str!("fraud.zh.toml"),
                include_str!("repair.zh.toml"),
                include_str!("transfer.zh.toml"),
            ])
        });
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }

    /// The text with this key, its places filled.
    ///
    /// # Panics
    /// For a key that is in no file: a mistake in this program, which its tests find.
    pub fn say(self, key: &str, places: &[(&str, &dyn std::fmt::Display)]) -> String {
        let text = self.texts().get(key).unwrap_or_else(|| panic!("no text has the key {key}"));
        fill(text, places)
    }

    /// The text with this key, if there is one.
    pub fn find(self, key: &str) -> Option<&'static str> {
        self.texts().get(key).map(String::as_str)
    }

    /// A word of the spec (a role, a capacity, a choice) as people say it.
    pub fn word(self, word: &str) -> String {
        self.find(&format!("word.{word}")).unwrap_or(word).to_owned()
    }
}

/// Fills the places of a text, each once: what fills one is not searched for others.
pub fn fill(text: &str, places: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let place = after.split_once('}').and_then(|(name, rest)| {
            let (_, value) = places.iter().find(|(known, _)| *known == name)?;
            Some((value, rest))
        });
        rest = match place {
            Some((value, rest)) => {
                filled.push_str(&value.to_string());
                rest
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled + rest
}

/// Flattens nested tables: `[lookup] title = ".."` has the key `lookup.title`.
fn read(sources: &[&str]) -> HashMap<String, String> {
    fn flatten(prefix: &str, value: toml::Value, into: &mut HashMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                    flatten(&name, value, into);
                }
            }
            toml::Value::String(text) => {
                into.insert(prefix.to_owned(), text);
            }
            other => panic!("{prefix} is no text: {other}"),
        }
    }
    let mut texts = HashMap::new();
    for source in sources {
        let table: toml::Table = source.parse().expect("the embedded texts are TOML");
        flatten("", toml::Value::Table(table), &mut texts);
    }
    texts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        let starts = text.match_indices('{').map(|(at, _)| &text[at + 1..]);
        starts.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_code_is_explained_with_a_hint() {
        use crate::model::violation::Code;
        for language in [Language::English, Language::Chinese] {
            for code in Code::ALL {
                for section in ["code", "hint"] {
                    assert!(language.find(&format!("{section}.{code}")).is_some(), "{code}");
                }
            }
        }
    }

    #[test]
    fn what_fills_a_place_is_not_filled_again() {
        assert_eq!(fill("{a} and {b}, {c}", &[("a", &"{b}"), ("b", &1)]), "{b} and 1, {c}");
    }

    #[test]
    fn both_languages_say_the_same() {
        let (english, chinese) = (Language::English.texts(), Language::Chinese.texts());
        let keys = |texts: &HashMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(english), keys(chinese));
        for (key, text) in english {
            assert_eq!(places(text), places(&chinese[key]), "{key}");
        }
    }
}
