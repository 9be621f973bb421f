//! From TOML to the types of the floors below. `None` means: not what the setting accepts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;

use state_machine::id::{AccountId, ErrorCode};

use crate::transparency::key::KeyName;
use state_machine::retry::policy::ErrorClass;
use toml::Value;
use tracing_subscriber::filter::EnvFilter;

use crate::access::address::Network;
use crate::log::JournalRetention;
use crate::stripe::user_reference::UserReferenceSource;

/// The type of a setting.
pub(super) trait FromValue: Sized {
    /// Returns what `value` spells.
    fn from_value(value: &Value) -> Option<Self>;

    /// Returns what holds where nothing is set, for the settings that may be left out.
    fn unset() -> Option<Self> {
        None
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

macro_rules! from_integer {
    ($($Number:ty)+) => {$(
        impl FromValue for $Number {
            fn from_value(value: &Value) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }
        }
    )+};
}

from_integer!(u32 u64 usize);

impl FromValue for NonZero<usize> {
    fn from_value(value: &Value) -> Option<Self> {
        usize::from_value(value).and_then(Self::new)
    }
}

impl FromValue for Vec<Network> {
    fn from_value(value: &Value) -> Option<Self> {
        let network = |value: &Value| value.as_str()?.parse().ok();
        value.as_array()?.iter().map(network).collect()
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromValue for SocketAddr {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }
}

impl FromValue for AccountId {
    fn from_value(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }
}

impl FromValue for KeyName {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromValue for JournalRetention {
    fn from_value(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "whole" => Some(Self::Whole),
            "until_sled_is_durable" => Some(Self::UntilSledIsDurable),
            _ => None,
        }
    }
}

impl FromValue for Vec<UserReferenceSource> {
    fn from_value(value: &Value) -> Option<Self> {
        let source = |value: &Value| UserReferenceSource::parse(value.as_str()?).ok();
        let sources: Option<Self> = value.as_array()?.iter().map(source).collect();
        sources.filter(|sources| !sources.is_empty())
    }
}

impl FromValue for BTreeMap<ErrorCode, ErrorClass> {
    fn from_value(value: &Value) -> Option<Self> {
        let class_of = |(code, class): (&String, &Value)| {
            Some((ErrorCode::parse(code).ok()?, error_class(class.as_str()?)?))
        };
        value.as_table()?.iter().map(class_of).collect()
    }
}

fn error_class(text: &str) -> Option<ErrorClass> {
    use ErrorClass::{Alternative, Counted, Final, Uncounted};
    [Final, Alternative, Uncounted, Counted]
        .into_iter()
        .find(|class| class.as_str() == text)
}

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFormat {
    /// One line a person reads.
    Human,
    /// One JSON object a line.
    Json,
}

impl FromValue for TraceFormat {
    fn from_value(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Which diagnostics are written: a filter in the words of `tracing`, known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFilter(String);

impl TraceFilter {
    /// Returns the filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromValue for TraceFilter {
    fn from_value(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        EnvFilter::try_new(text).is_ok().then(|| Self(text.into()))
    }
}

/// The base of a server's URLs, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// Returns the URL's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromValue for HttpUrl {
    fn from_value(value: &Value) -> Option<Self> {
        let text = value.as_str()?.trim_end_matches('/');
        let url = reqwest::Url::parse(text).ok()?;
        let is_ours = ["http", "https"].contains(&url.scheme());
        let is_base = is_ours && url.has_host() && url.query().is_none();
        is_base.then(|| Self(text.to_owned()))
    }
}
