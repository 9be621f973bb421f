//! What operators asked of the servers of one data directory, and what was acknowledged: beside the ledger of deliveries.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::blocking::Response;
use serde_json::{Value, json};

use super::process::Process;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Erase {
        session: String,
    },
    /// No two grants of one user are of as many attempts, so that each is known again.
    Grant {
        user: String,
        attempts: u64,
    },
}

impl Wish {
    fn ask(&self, process: &Process) -> reqwest::Result<Response> {
        match self {
            Self::Erase { session } => process.state(session, "erase"),
            Self::Grant { user, attempts } => {
                let grant = json!({
                    "action": "grant", "attempts": attempts, "actor": "an operator", "reason": "a test",
                });
                process.decide(user, &grant, &format!("{user}/{attempts}"))
            }
        }
    }
}

/// What was asked for, and what was acknowledged.
#[derive(Default)]
pub(crate) struct Operator {
    wishes: Vec<Wish>,
    /// From the wish's number to the entry's.
    acknowledged: BTreeMap<usize, u64>,
    /// How many wishes were looked at before.
    settled: usize,
}

impl Operator {
    /// Asks for one thing after the other, until a connection breaks off or something is refused.
    pub(crate) fn ask(&mut self, process: &Process, wishes: impl IntoIterator<Item = Wish>) {
        for wish in wishes {
            let number = self.wishes.len();
            self.wishes.push(wish);
            let Ok(response) = self.wishes[number].ask(process) else {
                return;
            };
            let status = response.status().as_u16();
            let Ok(answer) = response.json::<Value>() else {
                return;
            };
            match status {
                200 => {
                    let sequence = answer["sequence"].as_u64().unwrap();
                    self.acknowledged.insert(number, sequence);
                }
                404 => {} // none of the session's events has come yet
                503 => return,
                _ => panic!("answered {status}: {answer}"),
            }
        }
    }

    /// Returns how many wishes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Asserts, by reading, that every acknowledged wish stands where it was said to stand, that none stands twice, and
    /// none that nobody had. Looks at what came since the last look, and returns the entries of the overrides.
    pub(crate) fn assert_kept(&mut self, process: &Process) -> BTreeSet<u64> {
        let wishes = &self.wishes[self.settled..];
        let mut kept: BTreeMap<Wish, u64> = BTreeMap::new();
        let users = wishes.iter().filter_map(|wish| match wish {
            Wish::Grant { user, .. } => Some(user),
            Wish::Erase { .. } => None,
        });
        for user in users.collect::<BTreeSet<_>>() {
            let response = process.get(&format!("/v1/users/{user}/overrides?limit=100"));
            if response.status() == 404 {
                continue; // nothing is known of the user
            }
            for item in response.json::<Value>().unwrap()["data"]
                .as_array()
                .unwrap()
            {
                let wish = Wish::Grant {
                    user: user.clone(),
                    attempts: item["attempts"].as_u64().unwrap(),
                };
                assert!(wishes.contains(&wish), "nobody asked for {wish:?}");
                let other = kept.insert(wish, item["sequence"].as_u64().unwrap());
                assert_eq!(other, None, "it is there twice: {item}");
            }
        }
        let overrides = kept.values().copied().collect();
        for (number, sequence) in self.acknowledged.range(self.settled..) {
            let wish = &self.wishes[*number];
            let place = match wish {
                Wish::Grant { .. } => kept.get(wish).copied(),
                Wish::Erase { session } => {
                    let session = process.read(&format!("/v1/sessions/{session}"));
                    assert_eq!(session["erasure"]["status"], "done", "{session}");
                    session["erasure"]["sequence"].as_u64()
                }
            };
            assert_eq!(place, Some(*sequence), "{wish:?}");
        }
        self.settled = self.wishes.len();
        overrides
    }

    /// Lets everything be looked at again.
    pub(super) fn unsettle(&mut self) {
        self.settled = 0;
    }

    /// Asks another server for what a server keeps.
    pub(crate) fn repeat(&self, kept_by: &Process, other: &Process) {
        let is_kept = |wish: &Wish| match wish {
            Wish::Grant { user, attempts } => {
                let response = kept_by.get(&format!("/v1/users/{user}/overrides?limit=100"));
                response.json::<Value>().is_ok_and(|list| {
                    let grants = list["data"].as_array().into_iter().flatten();
                    grants
                        .into_iter()
                        .any(|grant| grant["attempts"] == *attempts)
                })
            }
            Wish::Erase { session } => {
                let response = kept_by.get(&format!("/v1/sessions/{session}"));
                response
                    .json::<Value>()
                    .is_ok_and(|session| !session["erasure"].is_null())
            }
        };
        for wish in self.wishes.iter().filter(|wish| is_kept(wish)) {
            assert_eq!(wish.ask(other).unwrap().status(), 200, "{wish:?}");
        }
    }
}
