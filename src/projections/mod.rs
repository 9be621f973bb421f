//! Floor 3, projections: derived from the log and disposable.
//!
//! A record of each session (its facts), of each user (their sessions and overrides) and the rows of every listing, written by
//! [`catch_up`] alone. Deleting the directory loses nothing: start-up folds the log again. No personal data lies here in
//! clear; a user is found by tag.

mod amendment;
mod anomaly_count;
pub mod bulk;
pub mod catch_up;
pub mod comparison;
mod derived;
mod description;
pub mod digest;
mod earlier;
pub mod generations;
mod key;
pub mod listing;
pub mod live;
pub mod part;
pub mod policies;
pub mod rebuild;
pub mod record;
pub mod store;
pub mod stored;
mod stored_custody;
mod stored_override;
mod take_in;
pub mod view;
