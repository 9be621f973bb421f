//! Diagnostics: what happens, on stderr, for people or as JSON. And spans, to a collector.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::spans::{self, Spans};
use crate::config::settings::Trace;
use crate::config::value::TraceFormat;

/// Starts writing diagnostics for the rest of the process's life, and sending spans until what it returns is dropped.
pub(super) fn start(trace: &Trace) -> anyhow::Result<Option<Spans>> {
    let filter = EnvFilter::try_new(trace.filter.as_str())?;
    let diagnostics = fmt::layer().with_writer(io::stderr);
    let diagnostics: Box<dyn Layer<Registry> + Send + Sync> = match trace.format {
        TraceFormat::Human => diagnostics
            .with_ansi(io::stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
        TraceFormat::Json => diagnostics
            .json()
            .flatten_event(true)
            .with_filter(filter)
            .boxed(),
    };
    let (spans, sent) = spans::layer(trace)?.unzip();
    let layers = [Some(diagnostics), spans].into_iter().flatten();
    let subscriber = tracing_subscriber::registry().with(layers.collect::<Vec<_>>());
    subscriber.try_init()?;
    Ok(sent)
}
