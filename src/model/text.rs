//! Text in events: UTF-8, bounded, one line, nothing invisible (spec section 2.3).
//!
//! What looks the same should be the same: controls, line breaks, bidirectional marks, zero-width
//! and tag characters are refused by everybody. Unicode normal form C is a rule of the writer's
//! gate only, since its tables change between Unicode versions.

use std::fmt;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use serde::Serialize;
use smol_str::SmolStr;

use super::encoding::{Keyed, Malformed, decode_bytes, encode_bytes, never_borrows};

/// Text of at most `MAX` bytes. May be empty, which means "not stated".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(SmolStr);

impl<const MAX: usize> Text<MAX> {
    /// Takes the text if it keeps the rules.
    ///
    /// # Errors
    /// `text/too-long`, `text/space` (a blank at either end), or the code of [`forbidden`].
    pub fn new(text: impl Into<SmolStr>) -> Result<Self, Malformed> {
        let text = text.into();
        if text.len() > MAX {
            return Err(Malformed::new("text/too-long"));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(Malformed::new("text/space"));
        }
        // Of ASCII, which most texts are all of, no printable character is refused.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(Self(text));
        }
        match text.chars().find_map(forbidden) {
            Some(code) => Err(Malformed::new(code)),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, unless it is empty.
    pub fn stated(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }

    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The code under which a character is refused, if it is.
pub const fn forbidden(character: char) -> Option<&'static str> {
    match character {
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Some("text/control"),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("text/bidirectional")
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Some("text/invisible"),
        _ => None,
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MAX: usize> std::str::FromStr for Text<MAX> {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::new(text)
    }
}

impl<const MAX: usize> Keyed for Text<MAX> {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_bytes(self.0.as_bytes(), encoder)
    }
}

impl<C, const MAX: usize> Decode<C> for Text<MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(decoder, MAX, "text/too-long", |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Malformed::new("text/utf-8"))?;
            Self::new(text)
        })
    }
}

never_borrows! { [const MAX: usize] Text<MAX>; }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::encoding::{decode, encode};

    #[test]
    fn what_cannot_be_seen_is_refused() {
        let code = |text: &str| Text::<40>::new(text).map_err(|malformed| malformed.code);
        assert!(code("N95口罩 36000 个").is_ok());
        assert!(code("").is_ok());
        assert_eq!(code("a\nb"), Err("text/control"));
        assert_eq!(code("a\u{85}b"), Err("text/control"));
        assert_eq!(code("a\u{2028}b"), Err("text/control"));
        assert_eq!(code("a\u{202e}b"), Err("text/bidirectional"));
        assert_eq!(code("a\u{200b}b"), Err("text/invisible"));
        assert_eq!(code("a\u{feff}"), Err("text/invisible"));
        assert_eq!(code("a\u{e0041}"), Err("text/invisible"));
        assert_eq!(code(" a"), Err("text/space"));
        assert_eq!(code("口罩口罩口罩口罩口罩口罩口罩"), Err("text/too-long"));
    }

    #[test]
    fn bytes_are_a_length_and_utf_8() {
        let text = Text::<8>::new("个").unwrap();
        assert_eq!(encode(&text), [0, 3, 0xe4, 0xb8, 0xaa]);
        assert_eq!(decode::<Text<8>>(&[0, 1, 0xff]).unwrap_err().code, "text/utf-8");
        assert_eq!(decode::<Text<8>>(&[0, 1, 9]).unwrap_err().code, "text/control");
    }
}
