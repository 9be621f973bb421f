//! How a setting is declared: its key, its default, what it accepts and what it means. Parsing, `avow config` and the
//! reference all read the same declarations.

use std::fmt;

use toml::{Table, Value};

/// One setting.
#[derive(Debug)]
pub struct Declaration {
    /// Its name in the file, with its section: `retry.attempts_max`.
    pub key: &'static str,
    /// Its default as TOML; empty where there is none.
    pub default: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// What it means, in Markdown.
    pub doc: &'static str,
}

impl Declaration {
    /// Returns the environment variable that sets it.
    pub fn environment_name(&self) -> String {
        format!("AVOW_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Returns its section's name, which is empty for a setting that stands before all sections, and its own.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }
}

/// What a setting accepts. Its `Display` completes the sentence "give …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// `true` or `false`
    Boolean,
    /// A whole number.
    Number {
        /// The least one.
        min: i64,
        /// The greatest one.
        max: i64,
        /// What is counted.
        unit: &'static str,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text, described here; its type judges it.
    Text(&'static str),
    /// A list of texts, described here; the environment separates them by commas.
    List(&'static str),
    /// A table of texts, described here; the environment writes `key=value`, separated by commas.
    Table(&'static str),
    /// A secret, described here: read from the environment alone, never shown.
    Secret(&'static str),
}

/// What a byte count accepts.
pub(super) const fn bytes(min: i64, max: i64) -> Accepts {
    Accepts::Number {
        min,
        max,
        unit: "bytes",
    }
}

/// What a number of seconds accepts.
pub(super) const fn seconds(min: i64, max: i64) -> Accepts {
    Accepts::Number {
        min,
        max,
        unit: "seconds",
    }
}

/// What a count of things accepts.
pub(super) const fn count(min: i64, max: i64, unit: &'static str) -> Accepts {
    Accepts::Number { min, max, unit }
}

impl Accepts {
    /// Returns the value that `text` spells in the environment or on the command line.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Boolean => text.parse().ok().map(Value::Boolean),
            Self::Number { .. } => text.parse().ok().map(Value::Integer),
            Self::OneOf(_) | Self::Text(_) | Self::Secret(_) => Some(Value::String(text.into())),
            Self::List(_) => Some(Value::Array(parts(text).map(Value::from).collect())),
            Self::Table(_) => parts(text)
                .map(pair)
                .collect::<Option<Table>>()
                .map(Value::Table),
        }
    }

    /// Returns whether `value` has the right shape and lies within the bounds.
    pub(super) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.is_bool(),
            Self::Number { min, max, .. } => value
                .as_integer()
                .is_some_and(|number| (min..=max).contains(&number)),
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Text(_) => value.as_str().is_some_and(is_text),
            Self::List(_) => value
                .as_array()
                .is_some_and(|list| list.iter().all(|one| one.as_str().is_some_and(is_text))),
            Self::Table(_) => value
                .as_table()
                .is_some_and(|table| table.values().all(Value::is_str)),
            Self::Secret(_) => false,
        }
    }
}

/// Says whether there is a text: not blank, and no trace of bytes that were none, which would name another file.
fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn pair(text: &str) -> Option<(String, Value)> {
    let (key, value) = text.split_once('=')?;
    Some((key.trim().into(), Value::String(value.trim().into())))
}

impl fmt::Display for Accepts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("`true` or `false`"),
            Self::Number {
                min,
                max,
                unit: "bytes",
            } => {
                let (min, max) = (ByteCount(*min), ByteCount(*max));
                write!(formatter, "a whole number of bytes from {min} to {max}")
            }
            Self::Number { min, max, unit } => {
                write!(formatter, "a whole number of {unit} from {min} to {max}")
            }
            Self::OneOf(words) => write!(formatter, "`{}`", words.join("` or `")),
            Self::Text(what) | Self::List(what) | Self::Table(what) | Self::Secret(what) => {
                formatter.write_str(what)
            }
        }
    }
}

/// A number of bytes, with the round number that it is.
struct ByteCount(i64);

impl fmt::Display for ByteCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        let units = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        let round = units
            .into_iter()
            .find(|(unit, _)| number >= *unit && number % unit == 0);
        match round {
            Some((unit, name)) => write!(formatter, "{number} ({} {name})", number / unit),
            None => write!(formatter, "{number}"),
        }
    }
}
