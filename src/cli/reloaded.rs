//! What a running server takes anew, part by part: how each is read, compared with what is in force, and replaced.

use std::sync::Arc;

use super::reload::Part;
use crate::access::admission::Admission;
use crate::config::settings::Settings;
use crate::config::tokens::{self, TokensError};
use crate::system;

/// Returns the access tokens, if there is a place for them.
pub(super) fn tokens(settings: &Settings, admission: &Arc<Admission>) -> Option<Part> {
    let path = settings.tokens_file()?;
    let admission = Arc::clone(admission);
    let files = [path.clone()];
    let take = move || match tokens::read(&path)? {
        Some(register) => Ok(admission.replace(register, system::now_seconds())),
        None if admission.has_register() => Err(TokensError::Missing.into()),
        None => Ok(None),
    };
    Some(Part::new("access tokens", files, take))
}
