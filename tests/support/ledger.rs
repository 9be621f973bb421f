//! What was delivered to the servers of one data directory, and what they acknowledged: the measure of what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::delivery::Delivery;
use super::operator::Operator;
use super::process::Process;

/// What was delivered, and what was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    bodies: Vec<Vec<u8>>,
    /// From the body's number to the entry's.
    acknowledged: BTreeMap<usize, u64>,
    settled: Settled,
    /// The sessions whose erasure had not ended at the last look.
    being_erased: BTreeSet<String>,
    /// What was asked for beside the deliveries.
    pub(crate) operator: Operator,
}

/// How far everything was looked at before.
#[derive(Default, Clone, Copy)]
struct Settled {
    bodies: usize,
    entries: u64,
}

/// How a delivery was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Recorded {
        sequence: u64,
        duplicate: bool,
    },
    Refused {
        code: String,
        retry_after: bool,
    },
    /// The connection broke off.
    Lost,
}

impl Answer {
    pub(crate) fn to(process: &Process, body: &[u8]) -> Self {
        let Ok(response) = process.deliver(&Delivery::of(body)) else {
            return Self::Lost;
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        let Ok(answer) = response.json::<Value>() else {
            return Self::Lost;
        };
        match status {
            200 => Self::Recorded {
                sequence: answer["sequence"].as_u64().unwrap(),
                duplicate: answer["duplicate"].as_bool().unwrap(),
            },
            503 => Self::Refused {
                code: answer["error"]["code"].as_str().unwrap().to_owned(),
                retry_after,
            },
            _ => panic!("answered {status}: {answer}"),
        }
    }
}

impl Ledger {
    /// Delivers new bodies over several connections, each of which ends with the first delivery that is not recorded.
    /// `before` is told how many deliveries went before each. Returns the answers to what was not recorded.
    pub(crate) fn deliver(
        &mut self,
        process: &Process,
        connections: usize,
        bodies: impl IntoIterator<Item = Vec<u8>>,
        before: impl Fn(usize) + Sync,
    ) -> Vec<Answer> {
        let first = self.bodies.len();
        self.bodies.extend(bodies);
        let (bodies, next) = (&self.bodies, AtomicUsize::new(first));
        let connection = || {
            let mut answers = Vec::new();
            while let number = next.fetch_add(1, Ordering::Relaxed)
                && let Some(body) = bodies.get(number)
            {
                before(number - first);
                let answer = Answer::to(process, body);
                let is_recorded = matches!(answer, Answer::Recorded { .. });
                answers.push((number, answer));
                if !is_recorded {
                    break;
                }
            }
            answers
        };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let connections: Vec<_> = (0..connections).map(|_| scope.spawn(connection)).collect();
            let answers = connections.into_iter();
            answers.flat_map(|one| one.join().unwrap()).collect()
        });
        let mut unrecorded = Vec::new();
        for (number, answer) in answers {
            match answer {
                Answer::Recorded { sequence, .. } => {
                    self.acknowledged.insert(number, sequence);
                }
                refused @ (Answer::Refused { .. } | Answer::Lost) => unrecorded.push(refused),
            }
        }
        unrecorded
    }

    /// Returns how many deliveries were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Asserts, by reading, that every acknowledged event is where it was said to be, that entries are numbered without
    /// a gap, that nothing is there twice, and nothing that was not delivered. Looks at what came since the last look.
    pub(crate) fn assert_kept(&mut self, process: &Process) {
        let Settled { bodies, entries } = self.settled;
        let size = process.entries();
        let kept = kept_events(process, &self.bodies[bodies..]);
        let sessions = self.bodies[bodies..].iter();
        let mut sessions: BTreeSet<_> = sessions.map(|body| session_of(body)).collect();
        // An erasure may end between the two looks.
        sessions.append(&mut self.being_erased);
        let (mut sequences, being_erased) = stated_entries(process, &sessions, size);
        self.being_erased = being_erased;
        sequences.retain(|sequence| (entries..size).contains(sequence));
        sequences.extend(kept.keys());
        sequences.extend(self.operator.assert_kept(process));
        let is_missing = |sequence: &u64| !sequences.contains(sequence);
        let policy = (entries..size).find(is_missing);
        sequences.extend(policy.filter(|sequence| is_policy(process, *sequence)));
        assert!(
            sequences.iter().copied().eq(entries..size),
            "gapless: {sequences:?} of {entries}..{size}"
        );

        let mut places: BTreeMap<&str, u64> = BTreeMap::new();
        for (sequence, event) in &kept {
            let other = places.insert(event, *sequence);
            assert_eq!(other, None, "{event} is there twice");
        }
        for (number, body) in (bodies..).zip(&self.bodies[bodies..]) {
            let place = places.remove(text(body, "/id").as_str());
            let acknowledged = self.acknowledged.get(&number).copied();
            assert_eq!(acknowledged.and(place), acknowledged, "body {number}");
        }
        assert!(places.is_empty(), "never delivered: {places:?}");
        self.settled = Settled {
            bodies: self.bodies.len(),
            entries: size,
        };
    }

    /// Asserts the same of everything.
    pub(crate) fn assert_all_kept(&mut self, process: &Process) {
        self.settled = Settled::default();
        self.operator.unsettle();
        self.assert_kept(process);
    }

    /// Asserts, by delivering again, that every acknowledged body is a duplicate of its own entry.
    pub(crate) fn assert_known(&self, process: &Process) {
        for (number, sequence) in &self.acknowledged {
            let expected = Answer::Recorded {
                sequence: *sequence,
                duplicate: true,
            };
            assert_eq!(Answer::to(process, &self.bodies[*number]), expected);
        }
    }

    /// Returns whether every acknowledged body is a duplicate of its own entry: it is delivered again.
    pub(crate) fn is_known_to(&self, process: &Process) -> bool {
        self.acknowledged.iter().all(|(number, sequence)| {
            let expected = Answer::Recorded {
                sequence: *sequence,
                duplicate: true,
            };
            Answer::to(process, &self.bodies[*number]) == expected
        })
    }

    /// Delivers again what came since the last look. What was acknowledged has to be a duplicate of its own entry; whatever of the rest
    /// was kept has to be found, and the remainder is recorded.
    pub(crate) fn redeliver(&mut self, process: &Process) {
        for (number, body) in self.bodies.iter().enumerate().skip(self.settled.bodies) {
            match (Answer::to(process, body), self.acknowledged.get(&number)) {
                (Answer::Recorded { sequence, .. }, None) => {
                    self.acknowledged.insert(number, sequence);
                }
                (answer, known) => {
                    let duplicate = Answer::Recorded {
                        sequence: *known.expect("every delivery is recorded"),
                        duplicate: true,
                    };
                    assert_eq!(answer, duplicate);
                }
            }
        }
    }

    /// Returns the bodies of the entries that a server has, in their order.
    pub(crate) fn bodies_in_order(&self, process: &Process) -> Vec<&[u8]> {
        let bodies: BTreeMap<String, &[u8]> = self
            .bodies
            .iter()
            .map(|body| (text(body, "/id"), body.as_slice()))
            .collect();
        let kept = kept_events(process, &self.bodies);
        kept.values().map(|event| bodies[event]).collect()
    }
}

/// Returns which event stands at which entry, as the histories of the sessions that the bodies name tell it.
fn kept_events(process: &Process, bodies: &[Vec<u8>]) -> BTreeMap<u64, String> {
    let sessions: BTreeSet<_> = bodies.iter().map(|body| session_of(body)).collect();
    let histories = sessions
        .iter()
        .map(|session| process.get(&format!("/v1/sessions/{session}/history")))
        // Of a session that is unknown, nothing was kept.
        .filter(|response| response.status() != 404);
    let mut kept = BTreeMap::new();
    for history in histories {
        let history: Value = history.json().unwrap();
        for step in history["data"].as_array().unwrap() {
            let event = step["event"].as_str().unwrap().to_owned();
            let other = kept.insert(step["sequence"].as_u64().unwrap(), event);
            assert_eq!(other, None, "two events have one number: {step}");
        }
    }
    kept
}

/// Returns whether an entry is that of the policy, once a checkpoint covers it.
fn is_policy(process: &Process, sequence: u64) -> bool {
    let path = format!("/v1/log/entries/{sequence}");
    loop {
        let response = process.get(&path);
        if response.status() == 200 {
            return response.json::<Value>().unwrap()["kind"] == "configuration";
        }
    }
}

/// Returns the entries that the log made by itself about sessions, and those of them whose erasure had not ended when it
/// had so many entries.
fn stated_entries(
    process: &Process,
    sessions: &BTreeSet<String>,
    size: u64,
) -> (BTreeSet<u64>, BTreeSet<String>) {
    let (mut stated, mut being_erased) = (BTreeSet::new(), BTreeSet::new());
    for id in sessions {
        let response = process.get(&format!("/v1/sessions/{id}"));
        if response.status() == 404 {
            continue; // nothing of it was kept
        }
        let session: Value = response.json().unwrap();
        let erasure = &session["erasure"];
        stated.extend(erasure["sequence"].as_u64());
        let done = erasure["done_sequence"].as_u64();
        stated.extend(done);
        if !erasure.is_null() && done.is_none_or(|done| done >= size) {
            being_erased.insert(id.clone());
        }
    }
    (stated, being_erased)
}

fn session_of(body: &[u8]) -> String {
    text(body, "/data/object/id")
}

fn text(body: &[u8], pointer: &str) -> String {
    let event: Value = serde_json::from_slice(body).unwrap();
    let text = event.pointer(pointer).and_then(Value::as_str);
    text.unwrap().to_owned()
}
