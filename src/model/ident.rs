//! Names of things: handles, entry indexes, gift ids, shipments, key bytes (spec section 2.4).

use std::fmt;
use std::str::FromStr;

use bech32::{Bech32m, Hrp};
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use super::encoding::{Keyed, Malformed, decode_bytes, encode_bytes, never_borrows};
use super::hash::{Digest32, EventHash, HASH_LEN, LeafHash, NodeHash, SubjectHash};
pub use super::key::KeyBytes;
use super::text::Text;

/// The bytes of a gift id: the start of its donation's event hash.
pub const GIFT_ID_LEN: usize = 20;

macro_rules! hash_encoding {
    ($($name:ident)*) => {$(
        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Ok(Self::from_bytes(<[u8; HASH_LEN]>::decode(decoder)?))
            }
        }

        never_borrows! { [] $name; }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                parse_hex(text).map(Self::from_bytes)
            }
        }

        impl Keyed for $name {
            type Key<'a> = &'a [u8; HASH_LEN];

            fn key(&self) -> &[u8; HASH_LEN] {
                self.as_bytes()
            }
        }
    )*};
}

hash_encoding! { LeafHash EventHash SubjectHash Digest32 NodeHash }

fn parse_hex(text: &str) -> Result<[u8; 32], Malformed> {
    let malformed = Malformed::new("hex/malformed");
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed);
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed)?;
    Ok(bytes)
}

/// The place of an entry in the log, counted from 0.
pub type EntryIndex = u64;

/// A party's short name, `[a-z0-9-]{3,64}`: unique in a ledger, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Handle(SmolStr);

impl Handle {
    /// Takes the name if it keeps the rules.
    ///
    /// # Errors
    /// `handle/malformed`.
    pub fn new(name: &str) -> Result<Self, Malformed> {
        Self::check(name)?;
        Ok(Self(name.into()))
    }

    fn check(name: &str) -> Result<(), Malformed> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        match (3..=64).contains(&name.len()) && name.bytes().all(allowed) {
            true => Ok(()),
            false => Err(Malformed::new("handle/malformed")),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Handle {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        Self::new(name)
    }
}

impl Keyed for Handle {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        &self.0
    }
}

impl Encode for Handle {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_bytes(self.0.as_bytes(), encoder)
    }
}

impl<C> Decode<C> for Handle {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(decoder, 64, "handle/malformed", |bytes| {
            let name = std::str::from_utf8(bytes);
            Self::new(name.map_err(|_| Malformed::new("handle/malformed"))?)
        })
    }
}

never_borrows! { [] Handle; }

never_borrows! { [] KeyBytes; }

impl Encode for KeyBytes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for KeyBytes {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::from_bytes(<[u8; HASH_LEN]>::decode(decoder)?))
    }
}

impl FromStr for KeyBytes {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parse_hex(text).map(Self::from_bytes)
    }
}

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a donor holds: `gift1...`, the first 20 bytes of the donation's event hash in bech32m
/// (BIP 350), whose checksum finds every mistyping of up to four characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GiftId([u8; GIFT_ID_LEN]);

impl GiftId {
    /// The id of these 20 bytes.
    pub const fn from_bytes(bytes: [u8; GIFT_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; GIFT_ID_LEN] {
        &self.0
    }

    /// The smallest event hash with this id, for a search in order.
    pub fn first_hash(&self) -> EventHash {
        let mut bytes = [0; HASH_LEN];
        bytes[..GIFT_ID_LEN].copy_from_slice(&self.0);
        EventHash::from_bytes(bytes)
    }
}

impl From<&EventHash> for GiftId {
    fn from(donation: &EventHash) -> Self {
        let mut bytes = [0; GIFT_ID_LEN];
        bytes.copy_from_slice(&donation.as_bytes()[..GIFT_ID_LEN]);
        Self(bytes)
    }
}

impl fmt::Display for GiftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Hrp::parse("gift").expect("four lower-case letters are a valid prefix");
        let text = bech32::encode::<Bech32m>(prefix, &self.0).expect("43 characters fit");
        f.pad(&text)
    }
}

impl fmt::Debug for GiftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for GiftId {
    type Err = Malformed;

    /// # Errors
    /// `gift-id/malformed` (not such an id at all), `gift-id/mistyped` (the checksum is wrong).
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("gift-id/malformed");
        let text = text.trim().to_ascii_lowercase();
        if !text.starts_with("gift1") || text.len() > 90 {
            return Err(malformed);
        }
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(&text)
            .map_err(|_| Malformed::new("gift-id/mistyped"))?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| malformed)
    }
}

impl Serialize for GiftId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A shipment: the number that its sender gave it, unique for that sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct ShipmentId {
    /// Who sends.
    pub giver: Handle,
    /// The sender's number, for example `ASN-8`.
    pub number: Text<40>,
}

impl fmt::Display for ShipmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.giver, self.number)
    }
}

impl FromStr for ShipmentId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("shipment/malformed");
        let (giver, number) = text.split_once('/').ok_or(malformed)?;
        let id = Self { giver: Handle::new(giver)?, number: Text::new(number)? };
        if id.number.is_empty() { Err(malformed) } else { Ok(id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gift_id_finds_its_own_mistyping() {
        let id = GiftId::from(&EventHash::from_bytes([7; 32]));
        let text = id.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(text.parse::<GiftId>().unwrap(), id);
        assert_eq!(text.to_uppercase().parse::<GiftId>().unwrap(), id);
        for at in 5..text.len() {
            let mut typed = text.clone().into_bytes();
            typed[at] = if typed[at] == b'q' { b'p' } else { b'q' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(typed.parse::<GiftId>().unwrap_err().code, "gift-id/mistyped");
        }
        assert_eq!("waybill 17".parse::<GiftId>().unwrap_err().code, "gift-id/malformed");
    }

    #[test]
    fn handles_are_lower_case_ascii() {
        assert!(Handle::new("wuhan-union-hospital").is_ok());
        for name in ["ab", "Wuhan", "a_b", "协和医院", &"a".repeat(65)] {
            assert!(Handle::new(name).is_err(), "{name}");
        }
    }
}
