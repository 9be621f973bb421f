//! Admission: who passes which gate, by the tokens that are in force.

use std::sync::{Arc, PoisonError, RwLock};

use state_machine::time::Timestamp;

use super::gate::{Gate, Publicity};
use super::register::{Register, TokenRecord, TokenStatus};
use super::scope::Scope;
use super::token::Token;

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Somebody who had to show no token.
    Anonymous,
    /// Whoever holds this token.
    Token(Arc<TokenRecord>),
}

/// Why somebody does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token.
    #[error("this needs a token; send `Authorization: Bearer TOKEN`")]
    TokenMissing,
    /// What is there is not, or not any more, a token. Which of these is nobody's business.
    #[error("this token is not valid here")]
    TokenInvalid,
    /// The token is not for this.
    #[error("this needs a token with the scope `{}`", .0.as_str())]
    ScopeMissing(Scope),
}

/// The tokens in force, and what needs none.
///
/// Without a register everybody is admitted, and nobody but this machine is to be served. With one, nobody is who shows
/// no token, even if there is none in it.
pub struct Admission {
    register: RwLock<Option<Arc<Register>>>,
    public: Publicity,
}

impl Admission {
    /// Begins with a register, or without.
    pub fn new(register: Option<Register>, public: Publicity) -> Self {
        Self {
            register: RwLock::new(register.map(Arc::new)),
            public,
        }
    }

    /// Puts another register in force, and says what changes by that, if anything does. There is no way back to none.
    pub fn replace(&self, register: Register, now: Timestamp) -> Option<String> {
        let before = self.register().unwrap_or_default();
        let changes = register.changes_since(&before, now);
        let is_first = !self.has_register();
        let mut current = self
            .register
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(register));
        match (is_first, changes) {
            (true, None) => Some("from here on a token is needed, and there is none".to_owned()),
            (true, Some(changes)) => Some(format!("from here on a token is needed; {changes}")),
            (false, changes) => changes,
        }
    }

    /// Returns whether tokens are asked for.
    pub fn has_register(&self) -> bool {
        self.register().is_some()
    }

    /// Admits whoever sends these values of the header `Authorization`, or says why not.
    pub fn admit<'header>(
        &self,
        gate: Gate,
        authorization: impl IntoIterator<Item = &'header [u8]>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let Some(needed) = gate.scope(self.public) else {
            return Ok(Caller::Anonymous);
        };
        let Some(register) = self.register() else {
            return Ok(Caller::Anonymous);
        };
        let mut values = authorization.into_iter();
        let header = values.next().ok_or(Refusal::TokenMissing)?;
        let token = bearer(header).ok_or(Refusal::TokenInvalid)?;
        if values.next().is_some() {
            return Err(Refusal::TokenInvalid);
        }
        let record = register.find(&token.digest());
        let record = record.ok_or(Refusal::TokenInvalid)?;
        match record.status(now) {
            TokenStatus::Active => {}
            TokenStatus::Expired | TokenStatus::Revoked => {
                let (id, status) = (&record.id, record.status(now).as_str());
                tracing::info!(token.id = %id, status, "a token was shown that is not good any more");
                return Err(Refusal::TokenInvalid);
            }
        }
        if record.scopes.include(needed) {
            Ok(Caller::Token(Arc::clone(record)))
        } else {
            Err(Refusal::ScopeMissing(needed))
        }
    }

    fn register(&self) -> Option<Arc<Register>> {
        self.register
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Returns the token of a header `Bearer TOKEN`.
fn bearer(header: &[u8]) -> Option<Token> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Token::parse(token.trim_matches(' ')).ok()
}
