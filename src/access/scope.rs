//! Scopes: what a token is good for.

use std::collections::BTreeSet;
use std::fmt;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To ask about users and sessions.
    Read,
    /// To prove what the log holds.
    Audit,
    /// To change what is kept, and how it is decided.
    Operate,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Audit, Self::Operate];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Audit => "audit",
            Self::Operate => "operate",
        }
    }

    /// Returns the scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Returns whether a token of this scope may do what asks for `needed`.
    ///
    /// Whoever audits or operates has to see what it is about; but the one who can erase is not the one who exports the
    /// evidence, unless a token is given both scopes.
    pub fn includes(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Read, Self::Read) => true,
            (Self::Read, Self::Audit) => false,
            (Self::Read, Self::Operate) => false,
            (Self::Audit, Self::Read) => true,
            (Self::Audit, Self::Audit) => true,
            (Self::Audit, Self::Operate) => false,
            (Self::Operate, Self::Read) => true,
            (Self::Operate, Self::Audit) => false,
            (Self::Operate, Self::Operate) => true,
        }
    }
}

/// The scopes of a token; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Returns these scopes, unless there is none.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// Returns whether one of them includes `needed`.
    pub fn include(&self, needed: Scope) -> bool {
        self.iter().any(|held| held.includes(needed))
    }

    /// Returns them, each once.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        formatter.write_str(&names.join(","))
    }
}
