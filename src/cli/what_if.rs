//! `avow replay --policy`: who would have been answered otherwise under another retry policy.

use std::path::Path;

use state_machine::horizon::AsOf;
use state_machine::id::UserTag;
use state_machine::retry::policy::Policy;

use super::told::Told;
use super::{Verdict, policy_file};
use crate::audit::source::Source;
use crate::audit::temporary_fold::TemporaryFold;
use crate::audit::what_if::{Sums, WhatIf};
use crate::audit::what_if_row::{SumRow, WhatIfRow};
use crate::service::policy::hash;

/// Tells each moment at which the policy of a file would have answered otherwise: of one user, or of everyone.
pub(super) fn tell(
    source: &Source,
    file: &Path,
    (as_of, only): (Option<AsOf>, Option<UserTag>),
    told: &mut Told,
) -> anyhow::Result<Verdict> {
    let (alternative, fallback): (Policy, Policy) = (
        policy_file::read(file)?,
        policy_file::read_or_default(None)?,
    );
    let fold = TemporaryFold::of(source, as_of)?;
    let view = fold.view();
    let recorded = view.policies()?;
    let what_if = WhatIf {
        recorded: &recorded,
        fallback: &fallback,
        alternative: &alternative,
    };
    let mut sums = Sums::default();
    for user in view.everyone() {
        let (world, tag) = user?;
        if only.is_some_and(|only| only != tag) {
            continue;
        }
        let differing = what_if.of_user(tag, &view.ever_recorded_user(&world, tag)?);
        sums.add(&differing);
        for one in &differing {
            told.row(&WhatIfRow::of(&world, tag, one))?;
        }
    }
    told.row(&SumRow::of(&sums, hash(&alternative)))?;
    Ok(Verdict::good_if(sums.refused + sums.let_in == 0))
}
