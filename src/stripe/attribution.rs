//! Attribution: whom a session object names as its user.

use super::decode::envelope;
use super::user_reference::{UserReference, UserReferenceSource};
use super::wire::{Metadata, Session};

/// Returns the reference that the first source with a usable text holds.
pub(super) fn user_reference(
    snapshot: &Session<'_>,
    sources: &[UserReferenceSource],
) -> Option<UserReference> {
    let text_of = |source: &UserReferenceSource| match source {
        UserReferenceSource::Metadata(key) => snapshot.metadata.object()?.text(key),
        UserReferenceSource::ClientReferenceId => snapshot.client_reference_id.text(),
        UserReferenceSource::RelatedCustomer => snapshot.related_customer.id(),
    };
    sources
        .iter()
        .find_map(|source| UserReference::new(text_of(source)?))
}

/// Returns every text of a body that may name its user: the sources may have been others when it was decoded.
pub fn user_references(body: &[u8]) -> Vec<UserReference> {
    let Ok(envelope) = envelope(body) else {
        return Vec::new();
    };
    let Some(snapshot) = envelope.data.object().and_then(|data| data.object.object()) else {
        return Vec::new();
    };
    let metadata = snapshot
        .metadata
        .object()
        .into_iter()
        .flat_map(Metadata::texts);
    let others = [
        snapshot.client_reference_id.text(),
        snapshot.related_customer.id(),
    ];
    metadata
        .chain(others.into_iter().flatten())
        .filter_map(UserReference::new)
        .collect()
}
