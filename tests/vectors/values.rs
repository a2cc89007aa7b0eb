//! Single values: what a decoder must take, and what it must refuse.

use std::fmt::Debug;

use bincode::{Decode, Encode};
use giftproof::model::date::Date;
use giftproof::model::encoding::{List, decode, encode};
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::{Kind, Role, Statement};
use giftproof::model::ident::{GiftId, Handle, KeyBytes};
use giftproof::model::text::Text;
use serde::Serialize;
use serde_json::Value;

/// What is wrong with what we make of this value.
pub fn check(vector: &Value) -> Result<(), String> {
    let kind = vector["type"].as_str().unwrap();
    let read = match vector["text"].as_str() {
        Some(text) => read_text(kind, text),
        None => read_bytes(kind, &super::run::bytes(&vector["hex"])),
    };
    let expected = match vector["expect"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(vector["value"].clone()),
    };
    if read == expected {
        return Ok(());
    }
    Err(format!("{}: expected {expected:?}, found {read:?}", vector["what"]))
}

type Read = Result<Value, String>;

fn read_text(kind: &str, text: &str) -> Read {
    let value = match kind {
        "day-text" => text.parse::<Date>().map(|day| value(&day)),
        "gift-id" => text.parse::<GiftId>().map(|id| value(&id)),
        other => panic!("no such type of text: {other}"),
    };
    value.map_err(|malformed| malformed.code.to_owned())
}

fn read_bytes(kind: &str, bytes: &[u8]) -> Read {
    match kind {
        "text 8" => read::<Text<8>>(bytes),
        "text 40" => read::<Text<40>>(bytes),
        "handle" => read::<Handle>(bytes),
        "opt u16" => read::<Option<u16>>(bytes),
        "bool" => read::<bool>(bytes),
        "u64" => read::<u64>(bytes),
        "day" => read::<Date>(bytes),
        "list 4 of role" => read::<List<Role, 4>>(bytes),
        "list 2 of text 8" => read::<List<Text<8>, 2>>(bytes),
        "public-key" => {
            let key = KeyBytes::from_bytes(bytes.try_into().unwrap());
            key.check().map(|key| Value::String(key.to_string())).map_err(|f| f.code().to_owned())
        }
        "frame" => {
            let signed = SignedEvent::from_bytes(bytes).map_err(|malformed| malformed.code)?;
            assert_eq!(signed.to_bytes(), bytes);
            Ok(Value::from(signed.frame.kind))
        }
        statement => {
            let kind = Kind::ALL.iter().find(|kind| kind.word() == statement);
            let kind = kind.unwrap_or_else(|| panic!("no such type: {statement}"));
            let read = Statement::from_bytes(*kind, bytes).map_err(|malformed| malformed.code)?;
            assert_eq!(read.to_bytes(), bytes);
            Ok(Value::Null)
        }
    }
}

fn read<T: Encode + Decode<()> + Serialize + Debug>(bytes: &[u8]) -> Read {
    let read = decode::<T>(bytes).map_err(|malformed| malformed.code.to_owned())?;
    assert_eq!(encode(&read), bytes, "{read:?}");
    Ok(value(&read))
}

fn value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}
