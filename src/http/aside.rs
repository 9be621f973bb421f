//! Work that may take long, such as folds and reads from the disk. It is done aside, on threads that serve nobody else, so
//! that it does not keep those waiting who ask for little: few threads, which step back where a delivery or a short
//! answer could be at work.

use std::cell::Cell;

use actix_web::web;

use super::error::Error;

/// How many such threads each worker has. Many would take turns on the processors with what is short.
pub(super) const THREADS_PER_WORKER: usize = 4;
/// How far a thread steps back, as `nice` counts: it gets a tenth of the time of one that does not.
const STEPS_BACK: i32 = 10;

thread_local! {
    static HAS_STEPPED_BACK: Cell<bool> = const { Cell::new(false) };
}

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
    let done = web::block(|| {
        if !HAS_STEPPED_BACK.replace(true) {
            // Where that is refused, the work is done all the same.
            rustix::process::nice(STEPS_BACK).ok();
        }
        work()
    });
    let done = done.await;
    let closing = |_| Error::unavailable("closing", "the service is closing; ask again");
    Ok(done.map_err(closing)??)
}
