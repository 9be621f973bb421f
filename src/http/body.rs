//! The body of a request: bounded in size and in time.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload};

use super::Options;
use super::error::Error;

/// Reads a body of at most `bytes_max` bytes.
pub(super) async fn body_of(
    payload: Payload,
    bytes_max: usize,
    options: &Options,
) -> Result<Bytes, Error> {
    let body = payload.to_bytes_limited(bytes_max);
    match tokio::time::timeout(options.body_timeout, body).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(Error::invalid(
            "body_broken_off",
            "the body did not arrive whole",
        )),
        Ok(Err(_)) => Err(Error::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {bytes_max} bytes"),
        )),
        Err(_) => Err(Error::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body did not arrive in time",
        )),
    }
}
