//! One target under libFuzzer: the one that `AVOW_FUZZ_TARGET` names. `fuzz/run` builds and runs it.

#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

#[expect(
    clippy::disallowed_methods,
    reason = "libFuzzer has the command line for itself"
)]
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("AVOW_FUZZ_TARGET").expect("AVOW_FUZZ_TARGET names a target");
    let found = TARGETS.into_iter().find(|(name, _)| *name == wanted);
    found.expect("AVOW_FUZZ_TARGET names a target").1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
