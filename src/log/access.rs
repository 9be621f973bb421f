//! Access: who has had to do with personal data, or with what is kept. What operators state is told by entries of its own.

use state_machine::id::{SequenceNumber, SessionId, UserTag, World};

use crate::access::token::TokenId;

/// Who has had to do with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessFact {
    /// Who.
    pub by: Accessor,
    /// What they did, or began to do.
    pub access: Access,
    /// On what.
    pub on: Accessed,
}

/// Who has had to do with something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accessor {
    /// Whoever can open the data directory with its keys.
    Local,
    /// Somebody who had to show no token.
    Anonymous,
    /// Whoever holds this token.
    Token(TokenId),
}

impl Accessor {
    /// Returns the stable name of the kind of accessor.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Anonymous => "anonymous",
            Self::Token(_) => "token",
        }
    }

    /// Returns the token that was shown, if one was.
    pub fn token(&self) -> Option<&TokenId> {
        match self {
            Self::Token(id) => Some(id),
            Self::Local | Self::Anonymous => None,
        }
    }
}

/// What is done with what is kept. Overrides, erasures, holds and releases are entries of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// The log is exported.
    Export,
    /// Projections are folded anew.
    Rebuild,
    /// They are, and only compared.
    RebuildDryRun,
    /// Access tokens are admitted, or not any more.
    Tokens,
    /// Users are listed by name.
    Users,
    /// Sessions are told with the names of their users.
    Sessions,
    /// What operators said is read.
    Words,
    /// Sealed payloads are handed out.
    Payloads,
}

impl Access {
    /// Every access.
    pub const ALL: [Self; 8] = [
        Self::Export,
        Self::Rebuild,
        Self::RebuildDryRun,
        Self::Tokens,
        Self::Users,
        Self::Sessions,
        Self::Words,
        Self::Payloads,
    ];

    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Rebuild => "rebuild",
            Self::RebuildDryRun => "rebuild_dry_run",
            Self::Tokens => "tokens",
            Self::Users => "read_users",
            Self::Sessions => "read_sessions",
            Self::Words => "read_words",
            Self::Payloads => "read_payloads",
        }
    }
}

/// What an access is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accessed {
    /// All that is kept, or no part of it that could be named.
    Everything,
    /// What belongs to a world.
    World(World),
    /// A user.
    User(World, UserTag),
    /// A session.
    Session(World, SessionId),
    /// Entries of the log.
    Entries {
        /// The first.
        first: SequenceNumber,
        /// How many.
        count: u64,
    },
}
