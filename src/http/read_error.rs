//! What stands in the way of reading projections, as an answer.

use actix_web::http::StatusCode;

use super::error::Error;
use crate::service::asked::HorizonError;
use crate::service::read::ReadError;

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotReady => {
                Self::unavailable("not_ready", "the projections are catching up; ask again")
            }
            ReadError::PositionUnknown => Self::invalid(
                "resource_missing",
                "`starting_after` or `ending_before` names nothing that is known in this world",
            ),
            ReadError::Store(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "a projection could not be read");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "a projection could not be read; the service's own log says why",
                )
            }
        }
    }
}

impl From<HorizonError> for Error {
    fn from(error: HorizonError) -> Self {
        match error {
            HorizonError::BeyondEnd { .. } => Self::parameter(
                "as_of",
                format!(
                    "`as_of` lies beyond the end: {error}. A time is RFC 3339, or `@` and Unix seconds"
                ),
            ),
            HorizonError::InTheFuture => Self::parameter("as_of", error.to_string()),
            HorizonError::Entry(_) => {
                tracing::error!(%error, "the entry that `as_of` names could not be read");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the log could not be read; the service's own log says why",
                )
            }
        }
    }
}
