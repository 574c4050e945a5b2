//! A value as it stands in a configuration.

use std::fmt;

/// A value as it stands in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `"text"`.
    Text(String),
    /// `["text", "text"]`.
    List(Vec<String>),
    /// `2048`.
    Number(u32),
}

impl Value {
    /// A list; a text is one with commas or blanks between. A number is neither.
    pub(super) fn words(&self) -> Vec<&str> {
        match self {
            Value::Text(text) => text.split([',', ' ']).filter(|name| !name.is_empty()).collect(),
            Value::List(names) => names.iter().map(String::as_str).collect(),
            Value::Number(_) => Vec::new(),
        }
    }

    /// A number; a text is one in digits.
    pub(super) fn number(&self) -> Option<u32> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok(),
            Value::Text(_) | Value::List(_) => None,
        }
    }
}

/// As in TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(texts) => {
                let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
                write!(f, "[{}]", quoted.join(", "))
            }
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
