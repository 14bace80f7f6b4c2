//! Fields that cannot break their object: a value of a wrong type becomes [`Field::Wrong`], not an error.
//!
//! One pass over the text, no tree in between; strings are borrowed where the text allows it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, borrowed from the text where it has no escapes.
pub(crate) type Text<'a> = Cow<'a, str>;

/// A field of an object as it was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Field<T> {
    /// Not there, or null.
    #[default]
    Absent,
    /// There, of another type.
    Wrong,
    /// There, of its type.
    Is(T),
}

impl<T> Field<T> {
    /// The value, if there is a good one.
    pub(crate) fn good(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// True where something of another type stands.
    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

impl Field<Text<'_>> {
    /// The text, empty if there is none.
    pub(crate) fn text(&self) -> &str {
        self.good().map_or("", |text| text.as_ref())
    }
}

impl<T> Field<Vec<T>> {
    /// The entries, none if there is no list.
    pub(crate) fn entries(&self) -> &[T] {
        self.good().map_or(&[], Vec::as_slice)
    }
}

/// What a [`Field`] can hold: says which shapes of value it takes; every other one is `None`.
pub(crate) trait Part<'de>: Sized {
    /// From a string.
    fn from_text(_text: Text<'de>) -> Option<Self> {
        None
    }

    /// From an integer.
    fn from_integer(_number: i64) -> Option<Self> {
        None
    }

    /// From `true` or `false`.
    fn from_flag(_flag: bool) -> Option<Self> {
        None
    }

    /// From a list, which is read to its end either way.
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From a record, which is read to its end either way.
    fn from_record<A: MapAccess<'de>>(mut record: A) -> Result<Option<Self>, A::Error> {
        while record.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de: 'a, 'a> Part<'de> for Text<'a> {
    fn from_text(text: Text<'de>) -> Option<Self> {
        Some(text)
    }
}

impl<'de> Part<'de> for i64 {
    fn from_integer(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl<'de> Part<'de> for bool {
    fn from_flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl<'de, T: Deserialize<'de>> Part<'de> for Vec<T> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Self::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(Some(entries))
    }
}

/// An integer or a string, as `targetPort` is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum IntegerOrText<'a> {
    /// A number.
    Integer(i64),
    /// A name.
    Text(Text<'a>),
}

impl<'de: 'a, 'a> Part<'de> for IntegerOrText<'a> {
    fn from_text(text: Text<'de>) -> Option<Self> {
        Some(Self::Text(text))
    }

    fn from_integer(number: i64) -> Option<Self> {
        Some(Self::Integer(number))
    }
}

/// A record of strings, as labels are, in the order of the text; values that are no strings are left out.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Pairs<'a> {
    /// Keys and values.
    pub(crate) entries: Vec<(Text<'a>, Text<'a>)>,
    /// The keys whose value is not a string.
    pub(crate) wrong: Vec<Text<'a>>,
}

impl<'de: 'a, 'a> Part<'de> for Pairs<'a> {
    fn from_record<A: MapAccess<'de>>(mut record: A) -> Result<Option<Self>, A::Error> {
        let mut pairs = Self::default();
        while let Some((key, value)) = record.next_entry::<Field<Text<'de>>, Field<Text<'de>>>()? {
            let Field::Is(key) = key else { continue };
            match value {
                Field::Is(value) => pairs.entries.push((key, value)),
                Field::Absent => pairs.entries.push((key, Text::Borrowed(""))),
                Field::Wrong => pairs.wrong.push(key),
            }
        }
        Ok(Some(pairs))
    }
}

/// The one annotation that is ours; the others, of any size, are passed over.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Annotations<'a> {
    /// `endpoints.kubernetes.io/last-change-trigger-time`.
    pub(crate) triggered: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Part<'de> for Annotations<'a> {
    fn from_record<A: MapAccess<'de>>(mut record: A) -> Result<Option<Self>, A::Error> {
        let mut ours = Self::default();
        while let Some(key) = record.next_key::<Field<Text<'de>>>()? {
            if key.text() == "endpoints.kubernetes.io/last-change-trigger-time" {
                ours.triggered = record.next_value::<Field<Text<'de>>>()?.good().cloned();
            } else {
                record.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Some(ours))
    }
}

/// Reads a record as the derived `Deserialize` of `T` does; the other shapes are not for it.
pub(crate) fn record<'de, T: Deserialize<'de>, A: MapAccess<'de>>(record: A) -> Result<Option<T>, A::Error> {
    T::deserialize(MapAccessDeserializer::new(record)).map(Some)
}

impl<'de, T: Part<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

/// Takes a value of any shape and hands it to the [`Part`].
struct FieldVisitor<T>(PhantomData<T>);

/// A value of a good or a wrong type.
fn judge<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Wrong, Field::Is)
}

impl<'de, T: Part<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(judge(T::from_flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(judge(T::from_integer(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        // Above i64 nothing of ours has a meaning; saturating keeps it out of every range that is checked later.
        Ok(judge(T::from_integer(i64::try_from(number).unwrap_or(i64::MAX))))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(judge(T::from_text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(judge(T::from_text(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(judge(T::from_text(Cow::Owned(text))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::from_list(list).map(judge)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_record(map).map(judge)
    }
}
