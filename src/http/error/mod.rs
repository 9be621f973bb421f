//! Errors: the one place that maps them to status codes. What happened inside is logged, and never shown.

mod refusal;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::log::AppendError;
use crate::service::IngestError;
use crate::service::custody::StatementError;
use crate::service::evidence::EvidenceError;
use crate::service::overrides::OverrideError;

/// How long a client is asked to wait before it tries again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// An answer other than success, in Stripe's shape.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(in crate::http) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<&'static str>,
    /// After how many seconds the same request may succeed.
    retry_after: Option<u64>,
    /// What the client has to show, as the header `WWW-Authenticate` says it.
    challenge: Option<String>,
}

impl Error {
    /// Refuses a request that can never succeed as it is.
    pub(in crate::http) fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Refuses a parameter.
    pub(in crate::http) fn parameter(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::invalid("parameter_invalid", message)
        }
    }

    /// Says that nothing is known of what `param` names.
    pub(in crate::http) fn missing(param: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, "resource_missing", message);
        Self {
            param: Some(param),
            ..error
        }
    }

    /// Says that the log keeps nothing of a session.
    pub(in crate::http) fn nothing_kept() -> Self {
        Self::missing("id", "nothing is kept of such a session of this world")
    }

    /// Says that it is not known to be on disk.
    pub(in crate::http) fn not_recorded() -> Self {
        Self::unavailable("not_recorded", "this could not be recorded; ask again")
    }

    fn stated_and_not_folded() -> Self {
        let message = "this is durable, and the projections are behind; ask again";
        Self::unavailable("not_projected", message)
    }

    /// Says that there is nothing under a path.
    pub(in crate::http) fn path_unknown() -> Self {
        let message = "there is no such path";
        Self::new(StatusCode::NOT_FOUND, "path_unknown", message)
    }

    /// Says that the request may succeed later.
    pub(in crate::http) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// Returns its stable name.
    pub(in crate::http) fn code(&self) -> &'static str {
        self.code
    }

    pub(in crate::http) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS),
            challenge: None,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    r#type: &'static str,
    code: &'static str,
    message: &'a str,
    param: Option<&'static str>,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let r#type = if self.status.is_server_error() {
            "api_error"
        } else {
            "invalid_request_error"
        };
        let error = Detail {
            r#type,
            code: self.code,
            message: &self.message,
            param: self.param,
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(challenge) = &self.challenge {
            response.insert_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        response.json(Body { error })
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Authentication(error) => {
                // Anyone can send a forged delivery: it is no failure of ours, and worth no more than a debug line.
                tracing::debug!(rule = error.code(), "a delivery was not authentic");
                Self::invalid(error.code(), error.to_string())
            }
            IngestError::Append(error) => Self::of_append(&error, "deliver again"),
            IngestError::NotFolded(_) => {
                Self::unavailable("not_projected", "the projections are behind; deliver again")
            }
            IngestError::Prepare(error) => {
                tracing::error!(%error, "a payload could not be sealed");
                Self::unavailable(
                    "not_sealed",
                    "the payload could not be sealed; deliver again",
                )
            }
        }
    }
}

impl From<StatementError> for Error {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Unknown => Self::nothing_kept(),
            StatementError::Words(error) => Self::parameter(error.parameter(), error.to_string()),
            StatementError::Append(error) => Self::of_append(&error, "ask again"),
            StatementError::NotFolded(_) => Self::stated_and_not_folded(),
            StatementError::Subject(_) | StatementError::Prepare(_) => {
                tracing::error!(%error, "a statement was not taken");
                Self::not_recorded()
            }
        }
    }
}

impl From<OverrideError> for Error {
    fn from(error: OverrideError) -> Self {
        match error {
            OverrideError::Words(error) => Self::parameter(error.parameter(), error.to_string()),
            OverrideError::Append(error) => Self::of_append(&error, "ask again"),
            OverrideError::NotFolded(_) => Self::stated_and_not_folded(),
            OverrideError::Prepare(_) => {
                tracing::error!(%error, "an override was not taken");
                Self::not_recorded()
            }
        }
    }
}

impl Error {
    pub(super) fn of_append(error: &AppendError, advice: &str) -> Self {
        let (code, what) = match error {
            AppendError::QueueFull => ("overloaded", "too much waits"),
            AppendError::DiskFull => ("disk_full", "the disk is full"),
            AppendError::Closing => ("closing", "the service is closing"),
            AppendError::Stopped(_) => ("writes_stopped", "the log accepts nothing"),
            AppendError::ErasureBegun(_) => {
                return Self::new(StatusCode::CONFLICT, "erasure_begun", error.to_string());
            }
            AppendError::NotHeld => {
                return Self::new(StatusCode::CONFLICT, "not_held", error.to_string());
            }
            AppendError::Expired => return Self::parameter("expires", error.to_string()),
            AppendError::OtherContent(_) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Self::new(status, "idempotency_key_reused", error.to_string());
            }
        };
        Self::unavailable(code, format!("{what}; {advice}"))
    }
}

impl From<EvidenceError> for Error {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::BeyondEnd => {
                let message = "the log does not reach so far";
                Self::new(StatusCode::NOT_FOUND, "beyond_end", message)
            }
            EvidenceError::NotCovered => {
                let message = "no checkpoint covers it yet; ask again";
                let error = Self::new(StatusCode::NOT_FOUND, "not_in_checkpoint", message);
                Self {
                    retry_after: Some(RETRY_AFTER_SECONDS),
                    ..error
                }
            }
            EvidenceError::Entry(_)
            | EvidenceError::Payload(_)
            | EvidenceError::Tree(_)
            | EvidenceError::Checkpoint(_)
            | EvidenceError::LeafTooLong(_)
            | EvidenceError::PayloadTooLong => {
                tracing::error!(%error, "evidence could not be read");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the log could not be read; the service's own log says why",
                )
            }
        }
    }
}
