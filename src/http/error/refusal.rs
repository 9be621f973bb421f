//! Whom a gate does not let through, and who asks too often.

use actix_web::http::StatusCode;

use super::Error;
use crate::access::admission::Refusal;
use crate::access::limit::TooOften;

impl From<Refusal> for Error {
    /// Speaks as RFC 6750 has it.
    fn from(refusal: Refusal) -> Self {
        let (status, code, challenge) = match refusal {
            Refusal::TokenMissing => (StatusCode::UNAUTHORIZED, "token_missing", String::new()),
            Refusal::TokenInvalid => (
                StatusCode::UNAUTHORIZED,
                "token_invalid",
                ", error=\"invalid_token\"".to_owned(),
            ),
            Refusal::ScopeMissing(scope) => (
                StatusCode::FORBIDDEN,
                "scope_missing",
                format!(
                    ", error=\"insufficient_scope\", scope=\"{}\"",
                    scope.as_str()
                ),
            ),
        };
        Self {
            challenge: Some(format!("Bearer realm=\"avow\"{challenge}")),
            ..Self::new(status, code, refusal.to_string())
        }
    }
}

impl Error {
    /// Says that a client has asked too often.
    pub(in crate::http) fn too_often(TooOften(wait): TooOften) -> Self {
        let message = "too many requests; ask again later";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        Self {
            // Never too early.
            retry_after: Some(wait.as_secs().saturating_add(1)),
            ..error
        }
    }
}
