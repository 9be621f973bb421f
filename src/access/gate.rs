//! Gates: what a path asks of whoever calls it.

use super::scope::Scope;

/// What a path asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Nothing: it tells nothing of anybody.
    Open,
    /// A signature of Stripe's, which the path looks at itself.
    Signature,
    /// A token of this scope.
    Scope(Scope),
    /// A token to audit with, unless evidence is public.
    Evidence,
    /// A token to read with, unless metrics are public.
    Metrics,
}

/// What needs no token, although it could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publicity {
    /// Checkpoints, tiles and proofs: what makes the log provable, and holds no personal data.
    pub evidence: bool,
    /// Metrics.
    pub metrics: bool,
}

impl Gate {
    /// Returns the scope that a token needs to pass, or `None` if none has to be shown.
    pub fn scope(self, public: Publicity) -> Option<Scope> {
        match self {
            Self::Open | Self::Signature => None,
            Self::Scope(scope) => Some(scope),
            Self::Evidence => (!public.evidence).then_some(Scope::Audit),
            Self::Metrics => (!public.metrics).then_some(Scope::Read),
        }
    }
}
