//! The retry policy: how many attempts, how often, and what each error code means for another try.

use alloc::collections::BTreeMap;

use crate::id::ErrorCode;
use crate::time::Timestamp;

/// What an error code means for another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// Never again.
    Final,
    /// Not this way: another channel has to be offered.
    Alternative,
    /// Not the user's failure: another try costs nothing.
    Uncounted,
    /// A failure that counts.
    Counted,
}

impl ErrorClass {
    /// Returns the class's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Alternative => "alternative",
            Self::Uncounted => "uncounted",
            Self::Counted => "counted",
        }
    }
}

/// The retry policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How many counted attempts the window may hold.
    pub attempts_max: u32,
    /// The window, in seconds.
    pub window_seconds: u32,
    /// How long to wait after a counted failure, in seconds; 0 for not at all.
    pub cooldown_seconds: u32,
    /// By how much each further failure in the window multiplies the cooldown; 0 or 1 for a constant one.
    pub cooldown_factor: u32,
    /// The longest cooldown, in seconds.
    pub cooldown_max_seconds: u32,
    /// The class of each listed code; every other code is counted.
    pub classes: BTreeMap<ErrorCode, ErrorClass>,
}

impl Default for Policy {
    /// Five attempts in 24 hours, no cooldown.
    fn default() -> Self {
        let classes = DEFAULT_CLASSES
            .iter()
            .filter_map(|(code, class)| Some((ErrorCode::parse(code).ok()?, *class)))
            .collect();
        Self {
            attempts_max: 5,
            window_seconds: DAY_SECONDS,
            cooldown_seconds: 0,
            cooldown_factor: 1,
            cooldown_max_seconds: DAY_SECONDS,
            classes,
        }
    }
}

impl Policy {
    /// Returns what a code means; a failure without a code counts, as a code that is not listed does.
    pub fn class_of(&self, code: Option<&ErrorCode>) -> ErrorClass {
        let listed = |code: &str| self.classes.get(code).copied();
        code.and_then(|code| listed(code.as_str()).or_else(|| listed(canonical(code.as_str())?)))
            .unwrap_or(ErrorClass::Counted)
    }

    /// Returns when an attempt leaves the window.
    pub(crate) fn leaves_at(&self, attempt: Timestamp) -> Timestamp {
        attempt.plus_seconds(i64::from(self.window_seconds))
    }

    /// Returns how long to wait after the last of so many counted failures in the window, in seconds.
    pub(crate) fn cooldown_after(&self, failures: usize) -> i64 {
        let Some(repeats) = failures.checked_sub(1) else {
            return 0;
        };
        let growth = u32::try_from(repeats).map_or(u32::MAX, |repeats| {
            self.cooldown_factor.max(1).saturating_pow(repeats)
        });
        i64::from(
            self.cooldown_seconds
                .saturating_mul(growth)
                .min(self.cooldown_max_seconds),
        )
    }
}

const DAY_SECONDS: u32 = 24 * 60 * 60;

const DEFAULT_CLASSES: &[(&str, ErrorClass)] = &[
    ("under_supported_age", ErrorClass::Final),
    ("consent_declined", ErrorClass::Alternative),
    ("country_not_supported", ErrorClass::Alternative),
    ("abandoned", ErrorClass::Uncounted),
    ("device_not_supported", ErrorClass::Uncounted),
    ("email_verification_declined", ErrorClass::Uncounted),
    ("phone_verification_declined", ErrorClass::Uncounted),
];

/// Returns the code of Stripe's API for a code that only Stripe's prose and its browser library use.
fn canonical(code: &str) -> Option<&'static str> {
    match code {
        "device_unsupported" => Some("device_not_supported"),
        "phone_otp_declined" => Some("phone_verification_declined"),
        "document_type_not_allowed" => Some("document_type_not_supported"),
        _ => None,
    }
}
