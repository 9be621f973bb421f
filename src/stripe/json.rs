//! JSON read as Stripe's clients read it: a repeated key's last value wins, unknown keys are skipped, and a value
//! of an unexpected type is as good as absent. One pass, borrowing from the body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// An object of which some members are read.
pub(super) trait Members<'body>: Default {
    /// Reads the value of `key`, or skips it; called for each member in order.
    fn read<A: MapAccess<'body>>(
        &mut self,
        key: Cow<'body, str>,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Any value, as far as anyone asks for it: `O` is the object that may stand there.
#[derive(Default)]
pub(super) enum Value<'body, O = Skipped> {
    /// No such member.
    #[default]
    Absent,
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A whole number that fits.
    Integer(i64),
    /// A text.
    Text(Cow<'body, str>),
    /// An object.
    Object(O),
    /// An array, or a number that is not whole or does not fit.
    Other,
}

impl<O> Value<'_, O> {
    pub(super) fn boolean(&self) -> Option<bool> {
        if let Self::Boolean(boolean) = self {
            Some(*boolean)
        } else {
            None
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        if let Self::Integer(integer) = self {
            Some(*integer)
        } else {
            None
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(super) fn object(&self) -> Option<&O> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }

    pub(super) fn into_object(self) -> Option<O> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }
}

/// An object none of whose members are read.
#[derive(Default)]
pub(super) struct Skipped;

impl<'body> Members<'body> for Skipped {
    fn read<A: MapAccess<'body>>(
        &mut self,
        _: Cow<'body, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        skip(map)
    }
}

/// Skips the value of a member.
pub(super) fn skip<'body, A: MapAccess<'body>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

impl<'body, O: Members<'body>> Deserialize<'body> for Value<'body, O> {
    fn deserialize<D: Deserializer<'body>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData))
    }
}

/// Visits any value; never refuses one.
struct AnyValue<O>(PhantomData<O>);

impl<'body, O: Members<'body>> Visitor<'body> for AnyValue<O> {
    type Value = Value<'body, O>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Self::Value, E> {
        Ok(Value::Boolean(boolean))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(integer))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(integer).map_or(Value::Other, Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'body str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'body>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'body>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = O::default();
        while let Some(Key(key)) = map.next_key()? {
            object.read(key, &mut map)?;
        }
        Ok(Value::Object(object))
    }
}

/// A key of an object, borrowed unless it is escaped.
struct Key<'body>(Cow<'body, str>);

impl<'body> Deserialize<'body> for Key<'body> {
    fn deserialize<D: Deserializer<'body>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'body> Visitor<'body> for KeyVisitor {
    type Value = Key<'body>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'body str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}
