//! Moments in JSON: RFC 3339 there, seconds since 1970 here.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::proto::moment;

/// A moment that has a date; one beyond the year 9999 is an error.
pub(super) fn serialize<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = moment::rfc3339(*seconds).ok_or_else(|| S::Error::custom("no such date"))?;
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    moment::parse(&text).ok_or_else(|| D::Error::custom("not a moment as RFC 3339 has it"))
}

/// The same of what may be unknown; what has no date is null.
pub(super) mod option {
    use super::*;

    pub fn serialize<S: Serializer>(seconds: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match seconds.and_then(moment::rfc3339) {
            Some(text) => serializer.serialize_some(&text),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            moment::parse(&text).ok_or_else(|| D::Error::custom("not a moment as RFC 3339 has it"))
        };
        text.map(read).transpose()
    }
}
