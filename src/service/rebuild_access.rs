//! What stands in the access record before a rebuild begins.

use super::rebuilds::Wanted;
use crate::log::access::{Access, Accessed};
use crate::projections::part::Part;

impl Wanted {
    /// Returns the access that it is. A dry run is one, too: it tells what differs, and of whom.
    pub fn access(&self) -> (Access, Accessed) {
        let access = if self.dry_run {
            Access::RebuildDryRun
        } else {
            Access::Rebuild
        };
        let on = match self.part.clone() {
            None => Accessed::Everything,
            Some(Part::Session(world, id)) => Accessed::Session(world, id),
            Some(Part::User(world, tag)) => Accessed::User(world, tag),
        };
        (access, on)
    }
}
