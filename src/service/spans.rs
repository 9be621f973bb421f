//! Spans: how long each step of a delivery's way takes, for whoever collects them. They hold numbers of entries, and
//! nothing of whom a delivery concerns. Where nobody collects them, none is made.

use state_machine::id::SequenceNumber;
use tracing::field::Empty;
use tracing::{Span, trace_span};

/// The target of all of them, by which they are told from diagnostics.
pub const SPANS: &str = "avow::spans";

/// Begins the span of a whole delivery.
pub fn delivery() -> Span {
    trace_span!(
        target: SPANS,
        "POST /webhooks/stripe",
        otel.kind = "server",
        http.response.status_code = Empty,
        entry.sequence = Empty,
    )
}

/// Begins the span of reading a body.
pub fn receive() -> Span {
    trace_span!(target: SPANS, "receive")
}

pub(super) fn authenticate() -> Span {
    trace_span!(target: SPANS, "authenticate")
}

/// The span of decoding and of whatever else needs no sequence number.
pub(super) fn decode() -> Span {
    trace_span!(target: SPANS, "decode")
}

/// A delivery that waits for its entry: it goes from thread to thread.
pub(super) struct Waiting {
    delivery: Span,
    step: Span,
}

impl Waiting {
    pub(super) fn for_append() -> Self {
        Self {
            delivery: Span::current(),
            step: trace_span!(target: SPANS, "append", entry.sequence = Empty),
        }
    }

    /// Ends the step that it waited for, and begins the next.
    pub(super) fn for_fold(self, sequence: SequenceNumber) -> Self {
        let Self { delivery, step } = self;
        // OpenTelemetry knows signed numbers alone, and would send others as texts.
        let sequence = i64::try_from(sequence.0).unwrap_or(i64::MAX);
        step.record("entry.sequence", sequence);
        delivery.record("entry.sequence", sequence);
        drop(step);
        let step = trace_span!(
            target: SPANS,
            parent: &delivery,
            "fold",
            entry.sequence = sequence,
        );
        Self { delivery, step }
    }

    /// Ends the step that it waited for.
    pub(super) fn end(self) {
        drop(self.step);
    }
}
