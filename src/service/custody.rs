//! Custody: erasing what is kept of a session, holding it back, and releasing it.

use state_machine::id::{SequenceNumber, SessionId, World};

use super::Service;
use super::projector::NotFolded;
use super::read::ReadError;
use super::words::{self, WordsError};
use crate::log::entry::{ErasureDoneFact, Fact, SubjectName};
use crate::log::{AppendError, PrepareError, Stated, Statement, SubjectError, Words};
use crate::stripe::user_reference::UserReference;

/// Why a statement was not taken. Nothing of it is on disk, unless the answer alone was lost.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The log keeps nothing of that name.
    #[error("the log keeps no payload of that name")]
    Unknown,
    /// Nobody says who wants it and why, or at too great length.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// Its subject could not be looked up.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// It could not be sealed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It is durable, but not folded.
    #[error(transparent)]
    NotFolded(#[from] NotFolded),
}

impl Service {
    /// States something about what is kept of a subject. `reply` is called once: when it is durable, carried out if it is
    /// to be and nothing holds it, and folded. It may be called on another thread, and must not block; it is dropped if
    /// an erasure cannot be finished before a restart.
    pub fn state(
        &self,
        subject: SubjectName,
        statement: Statement,
        words: &Words,
        reply: impl FnOnce(Result<Stated, StatementError>) + Send + 'static,
    ) {
        if let Err(error) = words::check(words) {
            return reply(Err(error.into()));
        }
        let subject = match self.log.subject(subject) {
            Ok(Some((subject, _))) => subject,
            Ok(None) => return reply(Err(StatementError::Unknown)),
            Err(error) => return reply(Err(error.into())),
        };
        let projector = self.projector.handle();
        let answer = move |stated: Result<Stated, AppendError>| match stated {
            Ok(stated) => projector.when_folded(last_sequence(&stated), move |folded| {
                reply(folded.map(|()| stated).map_err(StatementError::from));
            }),
            Err(error) => reply(Err(error.into())),
        };
        if let Err(error) = self.log.state(subject, statement, words, answer) {
            tracing::error!(%error, "a statement could not be sealed");
        }
    }

    /// Returns what an erasure came to, which the entry of this number says is done, and the entries whose payloads it
    /// destroyed.
    pub fn erased(&self, done: SequenceNumber) -> Option<(ErasureDoneFact, Vec<SequenceNumber>)> {
        let entry = self.log.entry(done).ok()??;
        match &entry.leaf.fact {
            Fact::ErasureDone(fact) => {
                let entries = self.log.payloads_of(&fact.subject).ok()?;
                Some((fact.clone(), entries))
            }
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
        }
    }

    /// Returns the sessions that belong to a user, in order of id.
    pub fn sessions_of_user(
        &self,
        world: &World,
        user: &UserReference,
    ) -> Result<Vec<SessionId>, ReadError> {
        let tag = self.log.user_tag(user);
        let sessions = self.view()?.recorded_user(world, tag)?.sessions;
        Ok(sessions.into_iter().map(|(id, _)| id).collect())
    }
}

fn last_sequence(stated: &Stated) -> SequenceNumber {
    match stated {
        Stated::Held(appended) | Stated::Released(appended) => appended.sequence,
        Stated::Waiting { appended, .. } => appended.sequence,
        Stated::Erased { done, .. } => *done,
    }
}
