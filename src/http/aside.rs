//! Work that may take long, such as folds and reads from the disk. It is done aside, on threads that serve nobody else, so
//! that it does not keep those waiting who ask for little.

use actix_web::web;

use super::error::Error;

/// How many such threads each worker has. Many would take turns on the processors with what is short.
pub(super) const THREADS_PER_WORKER: usize = 4;

/// Does short work at once: to go aside would cost more. Any other is done aside.
pub(super) async fn aside_unless<T, E>(
    is_short: bool,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: Send + 'static,
    Error: From<E>,
{
    if is_short {
        return Ok(work()?);
    }
    aside(work).await
}

/// Does the work aside, and waits for it.
pub(super) async fn aside<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: Send + 'static,
    Error: From<E>,
{
    let done = web::block(work).await;
    let closing = |_| Error::unavailable("closing", "the service is closing; ask again");
    Ok(done.map_err(closing)??)
}
