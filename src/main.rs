//! The `avow` binary.

use std::process::ExitCode;

use avow::cli::{Arguments, run};
use clap::Parser;
use mimalloc::MiMalloc;

/// What one thread allocates here, another mostly frees, which the system's allocator answers with contention.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    avow::tls::install_provider();
    run(Arguments::parse())
}
