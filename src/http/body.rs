//! The body of a request: bounded in size and in time.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Payload};

use super::Options;
use super::error::Error;

/// Reads the body of a request that states something. Its type is asked for, since a browser sends any other without
/// asking, in the name of whichever page it shows.
pub(super) async fn json_of(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: usize,
    options: &Options,
) -> Result<Bytes, Error> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Error::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type_unsupported",
            "the body is to be of the type application/json",
        ));
    }
    body_of(payload, bytes_max, options).await
}

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
