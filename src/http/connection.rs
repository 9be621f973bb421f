//! A connection, and how long its client may keep it waiting.
//!
//! actix gives the first head of a connection a time, and none to the ones after it: a second head that is half sent
//! stays open for good, and so does an answer that nobody reads. Here every byte that is waited for has a deadline.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte on.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// To take some more of an answer.
    pub(super) write: Duration,
}

/// What is known of a connection; shared between its bytes and its requests, which one thread serves.
pub(super) struct Connection {
    patience: Patience,
    has_request: Cell<bool>,
    /// From when on the next request is waited for.
    waits_since: Cell<Instant>,
    /// When the first byte of its head came.
    head_since: Cell<Option<Instant>>,
    /// From when on the client has not taken any more of an answer.
    stalled_since: Cell<Option<Instant>>,
}

impl Connection {
    /// Returns when the client will have kept us waiting for too long with what it has to send.
    fn read_deadline(&self) -> Deadline {
        let Patience { head, idle, .. } = self.patience;
        // While a request is at work nothing is waited for but its body, which has a time of its own. Nobody reads
        // again when it ends before its body does: to look again in a while is what notices that.
        if self.has_request.get() {
            return Deadline::LookAgain(Instant::now() + idle + head);
        }
        Deadline::HangUp(match self.head_since.get() {
            Some(since) => since + head,
            None => self.waits_since.get() + idle + head,
        })
    }

    /// Returns when the client will not have taken any more of an answer for too long.
    fn write_deadline(&self) -> Deadline {
        let since = self.stalled_since.get().unwrap_or_else(Instant::now);
        self.stalled_since.set(Some(since));
        Deadline::HangUp(since + self.patience.write)
    }
}

/// What happens when nothing has happened until then.
#[derive(Clone, Copy)]
enum Deadline {
    HangUp(Instant),
    LookAgain(Instant),
}

/// A request at work, until it is dropped: after the last byte of its answer, or with the connection.
pub(super) struct AtWork(Rc<Connection>);

impl AtWork {
    /// Begins a request.
    pub(super) fn on(connection: &Rc<Connection>) -> Self {
        connection.has_request.set(true);
        connection.head_since.set(None);
        Self(Rc::clone(connection))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.has_request.set(false);
        self.0.waits_since.set(Instant::now());
    }
}

/// The body of an answer, with what holds until its last byte.
pub(super) struct Held {
    body: BoxBody,
    _until_its_end: Option<AtWork>,
}

impl Held {
    pub(super) fn new(body: BoxBody, work: Option<AtWork>) -> Self {
        Self {
            body,
            _until_its_end: work,
        }
    }
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// A stream whose client is not waited for for good.
pub(super) struct Timed<S> {
    stream: S,
    connection: Rc<Connection>,
    reading: Alarm,
    writing: Alarm,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, patience: Patience) -> Self {
        Self {
            stream,
            connection: Rc::new(Connection {
                patience,
                has_request: Cell::new(false),
                waits_since: Cell::new(Instant::now()),
                head_since: Cell::new(None),
                stalled_since: Cell::new(None),
            }),
            reading: Alarm::default(),
            writing: Alarm::default(),
        }
    }

    /// Returns what its requests have to know.
    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Returns what a write came to, or that its client has stopped to take anything.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let connection = &self.connection;
        if written.is_ready() {
            connection.stalled_since.set(None);
            return written;
        }
        self.writing
            .ring(connection.write_deadline(), context)
            .map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let connection = &this.connection;
        if read.is_pending() {
            return this
                .reading
                .ring(connection.read_deadline(), context)
                .map(Err);
        }
        let is_first = !connection.has_request.get() && connection.head_since.get().is_none();
        if is_first && buffer.filled().len() > before {
            connection.head_since.set(Some(Instant::now()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.written(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        this.written(context, shut)
    }
}

/// Wakes whoever waits when a deadline is over. To move a deadline away costs nothing: it looks again when it rings.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn ring(&mut self, deadline: Deadline, context: &mut Context<'_>) -> Poll<io::Error> {
        let (Deadline::HangUp(time) | Deadline::LookAgain(time)) = deadline;
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(time)));
        if time < sleep.deadline() {
            sleep.as_mut().reset(time);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if matches!(deadline, Deadline::HangUp(time) if time <= Instant::now()) {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            sleep.as_mut().reset(time);
        }
        Poll::Pending
    }
}
