//! Spans of deliveries, to an OpenTelemetry collector: OTLP over HTTP, from a thread of its own, which drops what it cannot
//! send in time.

use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::Registry;

use crate::config::settings::Trace;

type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

#[cfg(feature = "opentelemetry")]
pub(super) use sent::Spans;

/// What sends spans: in this build, nothing does.
#[cfg(not(feature = "opentelemetry"))]
pub(super) enum Spans {}

/// Returns what takes spans, if they are to be sent.
#[cfg(not(feature = "opentelemetry"))]
pub(super) fn layer(trace: &Trace) -> anyhow::Result<Option<(SpanLayer, Spans)>> {
    anyhow::ensure!(
        trace.otlp_endpoint.is_none(),
        "`trace.otlp_endpoint` is set, and this build has no OpenTelemetry: build it with the feature `opentelemetry`"
    );
    Ok(None)
}

/// Returns what takes spans, if they are to be sent.
#[cfg(feature = "opentelemetry")]
pub(super) fn layer(trace: &Trace) -> anyhow::Result<Option<(SpanLayer, Spans)>> {
    trace
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| sent::to(endpoint, trace.otlp_sampled_percent))
        .transpose()
}

#[cfg(feature = "opentelemetry")]
mod sent {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use reqwest::redirect::Policy;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::Layer;

    use super::SpanLayer;
    use crate::config::value::HttpUrl;
    use crate::service::spans::SPANS;
    use crate::tls::trust::{Trust, no_one};

    /// Sends spans until it is dropped, which sends the last ones.
    pub(in crate::cli) struct Spans(SdkTracerProvider);

    impl Drop for Spans {
        fn drop(&mut self) {
            if let Err(error) = self.0.shutdown() {
                tracing::warn!(%error, "the last spans could not be sent");
            }
        }
    }

    pub(super) fn to(
        endpoint: &HttpUrl,
        sampled_percent: u32,
    ) -> anyhow::Result<(SpanLayer, Spans)> {
        let is_secure = endpoint.as_str().starts_with("https:");
        let tls = if is_secure {
            Trust::System.client_config()?
        } else {
            no_one()?
        };
        let client = reqwest::blocking::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.as_str()))
            .build()?;
        // Empty, so that nothing of the machine's environment is told.
        let resource = Resource::builder_empty()
            .with_service_name("avow")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let sampled = f64::from(sampled_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::TraceIdRatioBased(sampled))
            .with_resource(resource)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("avow"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            // What is sent is what was made to be sent, and no line of diagnostics.
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::TRACE));
        Ok((layer.boxed(), Spans(provider)))
    }
}
