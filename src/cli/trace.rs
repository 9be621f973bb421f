//! Diagnostics: what happens, on stderr, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::settings::Trace;
use crate::config::value::TraceFormat;

/// Starts writing diagnostics, for the rest of the process's life.
pub(super) fn start(trace: &Trace) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(trace.filter.as_str())?)
        .with_writer(io::stderr);
    match trace.format {
        TraceFormat::Human => builder
            .with_ansi(io::stderr().is_terminal())
            .finish()
            .try_init()?,
        TraceFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
