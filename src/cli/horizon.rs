//! The flags of every command that tells of an earlier time.

use anyhow::{Context, Result};
use clap::Args;
use state_machine::horizon::Horizon;

use crate::service::moment::{self, AS_OF_FORM, VALID_AT_FORM};

/// From when, and of when, something is told.
#[derive(Debug, Args)]
pub(super) struct HorizonArguments {
    /// Tell what was known when the log ended with this entry, or at this time (RFC 3339, or `@` and Unix seconds)
    #[arg(long, value_name = "SEQUENCE|TIME")]
    as_of: Option<String>,
    /// Tell what had happened at Stripe at this time (RFC 3339 or Unix seconds), as far as it was known
    #[arg(long, value_name = "TIME")]
    valid_at: Option<String>,
}

impl HorizonArguments {
    /// Returns what is left out.
    pub(super) fn horizon(&self) -> Result<Horizon> {
        let as_of = self
            .as_of
            .as_deref()
            .map(|text| moment::as_of(text).with_context(|| format!("`--as-of` is {AS_OF_FORM}")));
        let valid_at = self.valid_at.as_deref().map(|text| {
            moment::valid_at(text).with_context(|| format!("`--valid-at` is {VALID_AT_FORM}"))
        });
        Ok(Horizon {
            as_of: as_of.transpose()?,
            valid_at: valid_at.transpose()?,
        })
    }
}
