//! Every text that something says, met once, whatever it is: serialised into nothing but a visit
//! to each.
//!
//! Texts are strings, the keys of maps included. Names of fields and of variants are none, since
//! whoever made the event did not choose them; nor is what only its `Display` makes a string:
//! hashes, keys, ids and dates.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Calls `visit` with each text of `value`, in their order.
pub(super) fn visit(value: &impl Serialize, visit: impl FnMut(&str)) {
    value.serialize(&mut Texts(visit)).expect("events are made of plain values");
}

struct Texts<F>(F);

type Done = Result<(), fmt::Error>;

/// Values that are no texts.
macro_rules! no_text {
    ($($method:ident($($value:ty),*))*) => {
        $(fn $method(self, $(_: $value),*) -> Done { Ok(()) })*
    };
}

/// Values that hold others.
macro_rules! holding {
    ($($method:ident($($about:ty),*))*) => {
        $(fn $method(self, $(_: $about),*) -> Result<Self, fmt::Error> { Ok(self) })*
    };
}

impl<F: FnMut(&str)> Serializer for &mut Texts<F> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_str(self, text: &str) -> Done {
        (self.0)(text);
        Ok(())
    }

    fn serialize_char(self, character: char) -> Done {
        self.serialize_str(character.encode_utf8(&mut [0; 4]))
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Done {
        Ok(())
    }

    no_text! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64)
        serialize_bytes(&[u8])
        serialize_none()
        serialize_unit()
        serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        value.serialize(self)
    }

    holding! {
        serialize_seq(Option<usize>)
        serialize_tuple(usize)
        serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
        serialize_map(Option<usize>)
        serialize_struct(&'static str, usize)
        serialize_struct_variant(&'static str, u32, &'static str, usize)
    }
}

/// What holds others has them visited one after the other.
macro_rules! holders {
    ($($holder:ident: $method:ident($($name:ty),*))*) => {$(
        impl<F: FnMut(&str)> $holder for &mut Texts<F> {
            type Ok = ();
            type Error = fmt::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)* value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

holders! {
    SerializeSeq: serialize_element()
    SerializeTuple: serialize_element()
    SerializeTupleStruct: serialize_field()
    SerializeTupleVariant: serialize_field()
    SerializeStruct: serialize_field(&'static str)
    SerializeStructVariant: serialize_field(&'static str)
}

impl<F: FnMut(&str)> SerializeMap for &mut Texts<F> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[derive(Serialize)]
    struct Named<T> {
        field: T,
    }

    #[derive(Serialize)]
    struct Alone<T>(T);

    #[derive(Serialize)]
    struct Two<T>(T, T);

    #[derive(Serialize)]
    enum Sort<T> {
        Unit,
        One(T),
        Pair(T, T),
        Fields { a: T, b: T },
    }

    struct Shown(u32);

    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    fn texts(value: &impl Serialize) -> Vec<String> {
        let mut texts = Vec::new();
        visit(value, |text| texts.push(text.to_owned()));
        texts
    }

    /// The strings of a value's JSON.
    fn strings(json: &Value) -> Vec<String> {
        match json {
            Value::String(text) => vec![text.clone()],
            Value::Array(values) => values.iter().flat_map(strings).collect(),
            Value::Object(fields) => fields.values().flat_map(strings).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_texts_are_the_strings_of_the_json() {
        let named = |text: &str| Named { field: text.to_owned() };
        let value = (
            (named(""), Alone(named("a \"quoted\" word")), Two("back\\slash", "口罩")),
            (Some("1,2"), None::<String>, vec!["x", "y"], 'z', true, 13_800_138_000_u64, 1.5),
            ([Sort::Fields { a: "i", b: "k" }], (), [1_u8, 2]),
        );
        assert_eq!(texts(&value), strings(&serde_json::to_value(&value).unwrap()));
        // JSON has the names of variants among its strings, or as those of fields.
        let sorts = (Sort::One("a"), Sort::Pair("b", "c"), Sort::<&str>::Unit);
        assert_eq!(texts(&sorts), ["a", "b", "c"]);
        assert_eq!(texts(&("a", Shown(7), "b")), ["a", "b"]);
        assert_eq!(texts(&BTreeMap::from([("key", "value")])), ["key", "value"]);
    }
}
