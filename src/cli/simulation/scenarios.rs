//! Every scenario. The rows stand in the order of arrival; the first column is the time at Stripe, in seconds.
//!
//! The ends were worked out by hand from Stripe's documentation and the transition table, never taken from the code.

use super::scenario::Change::{
    Canceled, Created, Declined, Failed, Processing, Redacted, RedactionBegun, Verified,
};
use super::scenario::Delivery::{Forged, Once, Times};
use super::scenario::{Change, Delivery, End, Scenario, Step};

/// Every scenario, in the order in which the demo tells them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "success",
        shows: "a submission that Stripe verifies: the user is verified, and there is nothing to try again",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Verified(1), Once),
        ],
        end: End {
            status: "verified",
            outcome: "already_verified",
            attempts: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "failure_then_success",
        shows: "an expired document, then a good one: two attempts in one session, and verified in the end",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Failed(1, "document_expired"), Once),
            step(300, 1, Processing, Once),
            step(320, 1, Verified(2), Once),
        ],
        end: End {
            status: "verified",
            outcome: "already_verified",
            attempts: 2,
            ..QUIET
        },
    },
    Scenario {
        name: "limit_reached",
        shows: "five failures in two sessions: a new session does not buy new attempts, and the limit holds",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Failed(1, "document_expired"), Once),
            step(200, 1, Processing, Once),
            step(215, 1, Failed(2, "document_unverified_other"), Once),
            step(400, 1, Processing, Once),
            step(415, 1, Failed(3, "selfie_face_mismatch"), Once),
            step(500, 1, Canceled, Once),
            step(600, 2, Created, Once),
            step(660, 2, Processing, Once),
            step(675, 2, Failed(1, "selfie_manipulated"), Once),
            step(800, 2, Processing, Once),
            step(815, 2, Failed(2, "document_type_not_supported"), Once),
        ],
        end: End {
            status: "requires_input",
            outcome: "limit_reached",
            attempts: 5,
            ..QUIET
        },
    },
    Scenario {
        name: "decline",
        shows: "a user who does not consent: no check took place, no attempt is counted, another channel is due",
        steps: &[
            step(0, 1, Created, Once),
            step(30, 1, Declined("consent_declined"), Once),
        ],
        end: End {
            status: "requires_input",
            outcome: "alternative_required",
            ..QUIET
        },
    },
    Scenario {
        name: "cancel",
        shows: "a session that the company closed: the user may start a new one",
        steps: &[step(0, 1, Created, Once), step(500, 1, Canceled, Once)],
        end: End {
            status: "canceled",
            outcome: "allowed",
            ..QUIET
        },
    },
    Scenario {
        name: "redaction",
        shows: "a verified session whose data Stripe erases: the event names no user, and the user is still known",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Verified(1), Once),
            step(3_600, 1, RedactionBegun(1), Once),
            step(28_800, 1, Redacted(1), Once),
        ],
        end: End {
            status: "redacted",
            outcome: "allowed",
            attempts: 1,
            redaction: Some("done"),
            ..QUIET
        },
    },
    Scenario {
        name: "duplicates",
        shows: "every event delivered three times: one failure is counted once",
        steps: &[
            step(0, 1, Created, Times(3)),
            step(60, 1, Processing, Times(3)),
            step(75, 1, Failed(1, "document_unverified_other"), Times(3)),
        ],
        end: End {
            status: "requires_input",
            outcome: "allowed",
            attempts: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "disorder",
        shows: "the latest event first: the state does not depend on the order of arrival",
        steps: &[
            step(320, 1, Verified(2), Once),
            step(300, 1, Processing, Once),
            step(75, 1, Failed(1, "selfie_face_mismatch"), Once),
            step(60, 1, Processing, Once),
            step(0, 1, Created, Once),
        ],
        end: End {
            status: "verified",
            outcome: "already_verified",
            attempts: 2,
            ..QUIET
        },
    },
    Scenario {
        name: "same_second",
        shows: "a whole life within one second, backwards: what came first is told by what the events mean",
        steps: &[
            step(0, 1, Verified(1), Once),
            step(0, 1, Processing, Once),
            step(0, 1, Created, Once),
        ],
        end: End {
            status: "verified",
            outcome: "already_verified",
            attempts: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "second_event",
        shows: "two Event objects for one failure, as Stripe may send: still one attempt",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Failed(1, "document_expired"), Once),
            step(75, 1, Failed(1, "document_expired"), Once),
        ],
        end: End {
            status: "requires_input",
            outcome: "allowed",
            attempts: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "override_to_verified",
        shows: "a reviewer verifies a failed report in Stripe's Dashboard: verified, without another attempt",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Failed(1, "selfie_face_mismatch"), Once),
            step(4_000, 1, Verified(1), Once),
        ],
        end: End {
            status: "verified",
            outcome: "already_verified",
            attempts: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "override_to_unverified",
        shows: "a reviewer takes a verification back in Stripe's Dashboard: a reversal, and the user may try again",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Verified(1), Once),
            step(5_000, 1, Failed(1, "document_unverified_other"), Once),
        ],
        end: End {
            status: "requires_input",
            outcome: "allowed",
            attempts: 1,
            reversed: true,
            ..QUIET
        },
    },
    Scenario {
        name: "born_twice",
        shows: "a session that is created a second time: strange, so it is kept and shown, and changes nothing",
        steps: &[step(0, 1, Created, Once), step(30, 1, Created, Once)],
        end: End {
            status: "requires_input",
            outcome: "allowed",
            anomalies: 1,
            ..QUIET
        },
    },
    Scenario {
        name: "forged",
        shows: "a verification that Stripe never signed: refused, and the user is as unverified as before",
        steps: &[
            step(0, 1, Created, Once),
            step(60, 1, Processing, Once),
            step(75, 1, Verified(1), Forged),
        ],
        end: End {
            status: "processing",
            outcome: "in_progress",
            attempts: 1,
            ..QUIET
        },
    },
];

/// What most scenarios share.
const QUIET: End = End {
    status: "",
    attempts: 0,
    outcome: "",
    reversed: false,
    redaction: None,
    anomalies: 0,
};

const fn step(at: u16, session: u8, change: Change, delivery: Delivery) -> Step {
    Step {
        at,
        session,
        change,
        delivery,
    }
}
