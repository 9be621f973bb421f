//! Who asks: what the gate has found out, for the record.

use actix_web::{HttpMessage, HttpRequest};
use tokio::sync::oneshot;

use super::Shared;
use super::error::Error;
use crate::access::admission::Caller;
use crate::log::Words;
use crate::log::access::{Access, AccessFact, Accessed, Accessor};
use crate::service::recent_accesses::NotRecorded;

/// Returns the id of the token that was shown, if one was.
pub(super) fn token(request: &HttpRequest) -> Option<String> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Token(record)) => Some(record.id.as_str().to_owned()),
        Some(Caller::Anonymous) | None => None,
    }
}

/// Returns who asks, and how they are called.
fn accessor(request: &HttpRequest) -> (Accessor, String) {
    match request.extensions().get::<Caller>() {
        Some(Caller::Token(record)) => {
            let name = record.name.as_str().to_owned();
            (Accessor::Token(record.id.clone()), name)
        }
        Some(Caller::Anonymous) | None => {
            (Accessor::Anonymous, "whoever reaches the server".to_owned())
        }
    }
}

impl Shared {
    /// Records that whoever asks reads personal data, and waits until that is durable: before, nothing may be told. Of
    /// somebody who had to show no token it would say nothing, and each minute of reading would grow the log.
    pub(super) async fn record_read(
        &self,
        request: &HttpRequest,
        access: Access,
        on: Accessed,
    ) -> Result<(), Error> {
        let (access, words) = told(request, access, on);
        if access.by == Accessor::Anonymous {
            return Ok(());
        }
        let (sender, recorded) = oneshot::channel();
        let now = (self.options.clock)();
        self.service()?.record_read(access, &words, now, |outcome| {
            // A client that has gone is told nothing.
            drop(sender.send(outcome));
        });
        settled(recorded).await
    }

    /// Records something else that whoever asks does, each time and with or without a token, and waits until that is durable.
    pub(super) async fn record_access(
        &self,
        request: &HttpRequest,
        access: Access,
        on: Accessed,
    ) -> Result<(), Error> {
        let (access, words) = told(request, access, on);
        let (sender, recorded) = oneshot::channel();
        self.service()?.record_access(access, &words, |outcome| {
            // A client that has gone is told nothing.
            drop(sender.send(outcome));
        });
        settled(recorded).await
    }
}

async fn settled(recorded: oneshot::Receiver<Result<(), NotRecorded>>) -> Result<(), Error> {
    Ok(recorded.await.map_err(|_| Error::not_recorded())??)
}

impl From<NotRecorded> for Error {
    fn from(error: NotRecorded) -> Self {
        match error {
            NotRecorded::Append(error) => Self::of_append(&error, "ask again"),
            NotRecorded::Seal => Self::not_recorded(),
        }
    }
}

/// Returns the record of an access. The path is told as it is routed: it and the query may hold a user's name.
fn told(request: &HttpRequest, access: Access, on: Accessed) -> (AccessFact, Words) {
    let (by, actor) = accessor(request);
    let path = request.match_pattern().unwrap_or_default();
    let words = Words {
        actor,
        reason: format!("{} {path}", request.method()),
        token: None,
    };
    (AccessFact { by, access, on }, words)
}
