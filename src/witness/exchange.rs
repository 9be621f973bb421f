//! One exchange with a witness: a checkpoint there, a cosignature back.

use std::error::Error;
use std::io;

use reqwest::{Client, Response, StatusCode, Url};

use crate::transparency::checkpoint::AnswerError;
use crate::transparency::proof::ProveError;

/// The longest answer that is read: some cosignatures, among them those of algorithms with long ones.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a witness answers, unauthenticated.
pub(super) enum Answer {
    /// Signature lines.
    Cosigned(String),
    /// The checkpoint that it cosigned last has this size, not the one that was said.
    OtherSize(u64),
}

/// Why there is no cosignature. Numbers stand in no message, so that equal troubles have equal texts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("it does not answer in time")]
    TimedOut,
    #[error("it answers more than a cosignature can need")]
    AnswerTooLong,
    #[error("it answers something else than the specification of witnesses has it")]
    AnswerMalformed,
    #[error("it refuses with HTTP status {0}")]
    Refused(StatusCode),
    #[error("it says that the log does not continue the checkpoint that it cosigned last")]
    Inconsistent,
    #[error(
        "it has cosigned a larger tree than this log has: this log was rolled back, or its key signs another one"
    )]
    Ahead,
    #[error("it says at once that it has cosigned two sizes; does something else submit this log?")]
    SizeChanges,
    #[error("its cosignature is not to be used")]
    CosignatureWrong(#[from] AnswerError),
    #[error("the proof for it cannot be made")]
    Proof(#[from] ProveError<io::Error>),
}

impl Trouble {
    /// Returns whether it may mean that the log is not what it was.
    pub(super) fn is_alarming(&self) -> bool {
        matches!(self, Self::Inconsistent | Self::Ahead)
    }

    /// Returns the innermost cause.
    pub(super) fn cause(&self) -> Option<String> {
        let mut cause = self.source()?;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Some(cause.to_string())
    }
}

/// Sends a request `add-checkpoint`, and returns the answer if it is one of those that lead on.
pub(super) async fn add_checkpoint(
    client: Client,
    url: Url,
    request: String,
) -> Result<Answer, Trouble> {
    let response = client.post(url).body(request).send().await;
    let response = response.map_err(unreachable)?;
    let status = response.status();
    let answer = read(response).await?;
    match status {
        StatusCode::OK => Ok(Answer::Cosigned(answer)),
        StatusCode::CONFLICT => answer
            .strip_suffix('\n')
            .and_then(|size| size.parse().ok())
            .map(Answer::OtherSize)
            .ok_or(Trouble::AnswerMalformed),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Trouble::Inconsistent),
        status => Err(Trouble::Refused(status)),
    }
}

async fn read(mut response: Response) -> Result<String, Trouble> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::AnswerTooLong);
        }
    }
    String::from_utf8(answer).map_err(|_| Trouble::AnswerMalformed)
}

/// The URL is left out: it may hold a password.
fn unreachable(error: reqwest::Error) -> Trouble {
    Trouble::Unreachable(error.without_url())
}
