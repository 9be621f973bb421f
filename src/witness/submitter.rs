//! The submitter: asks witnesses to cosign the log's checkpoints, and publishes what enough of them cosigned.
//!
//! It goes in rounds, so that all are asked about one checkpoint. A round ends in time whatever a witness does, and
//! nothing that writes to the log waits for it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::exchange::{Answer, Trouble, add_checkpoint};
use super::peer::Peer;
use crate::client::{Access, ClientError};
use crate::config::settings;
use crate::log::Log;
use crate::tls::trust::{Trust, TrustError};
use crate::transparency::add_checkpoint::AddCheckpoint;
use crate::transparency::checkpoint::SignedCheckpoint;
use crate::transparency::key::VerifierKey;
use crate::transparency::policy::{Policy, Witness};
use crate::transparency::proof::consistency_proof;

/// Why a policy cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SubmitterError {
    /// It names logs, and this one is not among them.
    #[error("the policy names other logs than this one; add the line `log {0}`")]
    OtherLogs(Box<VerifierKey>),
    /// The URL of a witness leads nowhere.
    #[error(
        "the URL of the witness {0} in the policy is not of the form https://HOST[:PORT][/PATH], or http"
    )]
    UrlUnusable(String),
    /// The witnesses that have a URL can never meet the quorum.
    #[error("the witnesses with a URL in the policy are too few to meet its quorum")]
    QuorumOutOfReach,
    /// There can be no HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file that `witness.ca_file` names cannot be used.
    #[error("`witness.ca_file` cannot be used")]
    Trust(#[from] TrustError),
}

/// Asks the witnesses of a policy.
pub struct Submitter<'log> {
    log: &'log Log,
    policy: Policy,
    client: Client,
    interval: Duration,
    timeout: Duration,
    peers: Vec<Peer>,
    /// What is to be cosigned.
    checkpoint: Arc<SignedCheckpoint>,
    /// That, with the cosignatures so far.
    cosigned: SignedCheckpoint,
    publishes: bool,
}

impl<'log> Submitter<'log> {
    /// Returns the submitter of a log; it does nothing before it runs.
    pub fn new(
        log: &'log Log,
        policy: &Policy,
        settings: &settings::Witness,
    ) -> Result<Self, SubmitterError> {
        let vkey = log.verifier_key();
        let mut logs = policy.logs().iter().peekable();
        if logs.peek().is_some() && !logs.any(|log| log.key == *vkey) {
            return Err(SubmitterError::OtherLogs(Box::new(vkey.clone())));
        }
        let peers: Vec<Peer> = policy
            .witnesses()
            .iter()
            .filter_map(peer)
            .collect::<Result<_, _>>()?;
        let names: BTreeSet<&str> = peers.iter().map(|peer| &*peer.witness.name).collect();
        if !policy.is_met_by(&names) {
            return Err(SubmitterError::QuorumOutOfReach);
        }
        let trust = settings.ca_file.as_deref().map(Trust::read).transpose()?;
        let access = Access {
            token: None,
            trust: trust.unwrap_or_default(),
        };
        let client = access.builder(peers.iter().map(|peer| &peer.url))?;
        let checkpoint = log.checkpoint();
        Ok(Self {
            log,
            policy: policy.clone().with_log(vkey.clone()),
            client: client.build().map_err(ClientError::Client)?,
            interval: Duration::from_secs(settings.submit_interval_seconds),
            timeout: Duration::from_secs(settings.timeout_seconds),
            peers,
            cosigned: SignedCheckpoint::clone(&checkpoint),
            checkpoint,
            publishes: true,
        })
    }

    /// Submits what the log signs, round after round.
    pub async fn run(mut self) -> Infallible {
        let mut rounds = interval(self.interval);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.submit().await;
            self.log
                .note_witnesses(self.peers.iter().map(Peer::state).collect());
        }
    }

    /// Asks every witness that is due about the latest checkpoint.
    async fn submit(&mut self) {
        let latest = self.log.checkpoint();
        if latest.tree() != self.checkpoint.tree() {
            self.cosigned = SignedCheckpoint::clone(&latest);
            self.checkpoint = latest;
            self.peers.iter_mut().for_each(Peer::begin);
        }
        let now = Instant::now();
        let mut round = Round {
            log: self.log,
            checkpoint: Arc::clone(&self.checkpoint),
            client: self.client.clone(),
            end: now + self.timeout,
            exchanges: JoinSet::new(),
        };
        let due = self.peers.iter_mut().enumerate();
        for (index, peer) in due.filter(|(_, peer)| peer.is_due(now)) {
            // What it said of a size that there is not may have been wrong, or is over: it is asked for it again.
            peer.known_size = Some(peer.known_size)
                .filter(|known| *known <= self.checkpoint.tree().size)
                .unwrap_or(0);
            if let Err(trouble) = round.ask(index, peer, IsAgain(false)) {
                peer.fail(&trouble, now, self.interval);
            }
        }
        while let Some(exchanged) = round.exchanges.join_next().await {
            match exchanged {
                Ok((index, is_again, answer)) => self.hear(&mut round, index, is_again, answer),
                Err(error) => tracing::error!(%error, "an exchange with a witness broke off"),
            }
        }
    }

    fn hear(
        &mut self,
        round: &mut Round<'_>,
        index: usize,
        is_again: IsAgain,
        answer: Result<Answer, Trouble>,
    ) {
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        let heard = match answer {
            Ok(Answer::Cosigned(lines)) => self
                .cosigned
                .add_cosignature(&lines, &peer.witness.key)
                .map_err(Trouble::from),
            Ok(Answer::OtherSize(size)) if !is_again.0 => {
                peer.known_size = size;
                match round.ask(index, peer, IsAgain(true)) {
                    Ok(()) => return,
                    Err(trouble) => Err(trouble),
                }
            }
            Ok(Answer::OtherSize(_)) => Err(Trouble::SizeChanges),
            Err(trouble) => Err(trouble),
        };
        match heard {
            Ok(_) => {
                peer.succeed(self.checkpoint.tree().size);
                self.publish();
            }
            Err(trouble) => peer.fail(&trouble, Instant::now(), self.interval),
        }
    }

    /// Publishes the checkpoint if its cosignatures so far are enough: not at the end of the round, for which a slow
    /// witness may be to blame.
    fn publish(&mut self) {
        let note = self.cosigned.note();
        if self.policy.authenticate(note).is_err() {
            return;
        }
        let published = self.log.publish_cosigned(note.clone());
        if let Err(error) = &published
            && self.publishes
        {
            tracing::error!(%error, "a cosigned checkpoint could not be published");
        }
        self.publishes = published.is_ok();
    }
}

/// Returns a witness that has a URL.
fn peer(witness: &Witness) -> Option<Result<Peer, SubmitterError>> {
    let prefix = witness.url.as_ref()?.trim_end_matches('/');
    Some(match Url::parse(&format!("{prefix}/add-checkpoint")) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => Ok(Peer::new(witness.clone(), url)),
        Ok(_) | Err(_) => Err(SubmitterError::UrlUnusable(witness.name.clone())),
    })
}

/// Whether a witness is asked for the second time in a round: it has said which size it knows.
#[derive(Clone, Copy)]
struct IsAgain(bool);

/// The exchanges about one checkpoint.
struct Round<'log> {
    log: &'log Log,
    checkpoint: Arc<SignedCheckpoint>,
    client: Client,
    end: Instant,
    exchanges: JoinSet<(usize, IsAgain, Result<Answer, Trouble>)>,
}

impl Round<'_> {
    /// Begins an exchange with the witness at this place.
    fn ask(&mut self, index: usize, peer: &Peer, is_again: IsAgain) -> Result<(), Trouble> {
        let (old_size, size) = (peer.known_size, self.checkpoint.tree().size);
        if old_size > size {
            return Err(Trouble::Ahead);
        }
        let read = |level, range| self.log.hashes(level, &range);
        let request = AddCheckpoint {
            old_size,
            proof: consistency_proof(old_size, size, read)?,
            checkpoint: self.checkpoint.note().clone(),
        };
        let exchange = add_checkpoint(self.client.clone(), peer.url.clone(), request.to_string());
        let exchange = timeout_at(self.end, exchange);
        self.exchanges.spawn(async move {
            let answer = exchange.await.unwrap_or(Err(Trouble::TimedOut));
            (index, is_again, answer)
        });
        Ok(())
    }
}
