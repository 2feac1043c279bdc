//! Delivering: claim what is due, compose, begin, send, finish. One recipient a mail, one mail a transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::archive;
use crate::domain::attempt::{Outcome, Phase};
use crate::domain::billing::Scope;
use crate::domain::delivery::{Delivery, State};
use crate::domain::mail::{Frozen, Mail};
use crate::domain::recipients::mask_addresses;
use crate::ledger::{self, Claim, Lease};
use crate::mail::compose::compose;
use crate::mail::dialogue::{Connection, NotSent};
use crate::mail::freeze;
use crate::report;

use super::Environment;

/// What a round of deliveries came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Mails that the relay took responsibility for.
    pub accepted: usize,
    /// Mails to be tried again.
    pub deferred: usize,
    /// Mails refused for good.
    pub refused: usize,
    /// Mails whose final dot left without a verdict.
    pub in_doubt: usize,
    /// Mails that need a person.
    pub held: usize,
    /// Mails given up by age.
    pub expired: usize,
    /// Why the relay could not be used, if it could not.
    pub relay_trouble: Option<String>,
    /// Why documents could not be read, if they could not.
    pub archive_trouble: Option<String>,
}

impl Delivered {
    fn count(&mut self, state: State) {
        match state {
            State::Accepted => self.accepted += 1,
            State::Refused => self.refused += 1,
            State::InDoubt => self.in_doubt += 1,
            State::Held => self.held += 1,
            State::Expired => self.expired += 1,
            State::Pending | State::Sending => self.deferred += 1,
            State::Withdrawn | State::Bounced => {}
        }
    }
}

/// Sends everything that is due at `due_by`, over at most `smtp.max_connections` connections, until nothing is due,
/// the relay is in trouble or `stop` is set. What is under way then is brought to its end.
///
/// # Errors
/// If the ledger fails: then nothing more is sent.
pub async fn deliver(
    env: &Environment,
    due_by: Timestamp,
    stop: &CancellationToken,
) -> Result<Delivered, ledger::Error> {
    let recovered = env.ledger.recover(&env.config.delivery, env.clock.now()).await?;
    if recovered > 0 {
        tracing::warn!(recovered, "an earlier run ended in the middle of deliveries: they are due again, or in doubt");
    }
    let round = Round { env, due_by, stop, halt: CancellationToken::new(), delivered: Mutex::default() };
    let smtp = env.relay.settings();
    // More workers than the pace feeds would only hold claims while they wait.
    let workers = smtp.max_connections.min(smtp.per_minute as usize).max(1);
    let workers = (0..workers).map(|_| round.work());
    let ended = join_all(workers).await;
    let delivered = round.delivered.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.into_iter().collect::<Result<(), _>>().map(|()| delivered)
}

struct Round<'a> {
    env: &'a Environment,
    due_by: Timestamp,
    stop: &'a CancellationToken,
    /// Set when the relay or the ledger is in trouble: no worker claims any more.
    halt: CancellationToken,
    delivered: Mutex<Delivered>,
}

impl Round<'_> {
    async fn work(&self) -> Result<(), ledger::Error> {
        let mut connection = None;
        while !self.stop.is_cancelled() && !self.halt.is_cancelled() {
            let claimed = self.env.ledger.claim(self.due_by, &self.env.config.delivery).await;
            let ended = match claimed {
                Ok(Some(claim)) => self.one(claim, &mut connection).await,
                Ok(None) => break,
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => {}
                Err(error @ ledger::Error::LeaseLost(_)) => tracing::warn!(error = %error, "somebody else decides now"),
                Err(error) => {
                    self.halt.cancel();
                    return Err(error);
                }
            }
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        Ok(())
    }

    /// Brings one claimed delivery to the end of one attempt.
    async fn one(&self, claim: Claim, connection: &mut Option<Connection>) -> Result<(), ledger::Error> {
        let (lease, delivery) = (claim.lease, claim.delivery);
        if !self.is_listed(&claim.mail) {
            return self.end(&claim.mail, lease, delivery.withdraw(self.env.clock.now()), None).await;
        }
        let attachments = match self.attachments(&claim.mail).await {
            Ok(attachments) => attachments,
            Err(error @ archive::Error::Changed(_)) => {
                return self.end(&claim.mail, lease, delivery.hold(report::chain(&error)), None).await;
            }
            Err(error) => {
                let trouble = report::chain(&error);
                tracing::error!(delivery.id = %claim.mail.delivery, error = trouble, "a document cannot be read");
                self.with(|delivered| delivered.archive_trouble = Some(trouble.clone()));
                let after = delivery.put_off(trouble, &self.env.config.delivery, self.env.clock.now());
                return self.end(&claim.mail, lease, after, None).await;
            }
        };
        let (frozen, bytes) = match self.bytes(&claim.mail, claim.frozen, &attachments) {
            Ok(bytes) => bytes,
            Err(reason) => return self.end(&claim.mail, lease, delivery.hold(reason), None).await,
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return self.end(&claim.mail, lease, delivery.interrupted(), None).await,
            () = self.env.relay.pace() => {}
        }
        let reused = connection.is_some();
        let mut open = match self.connection(connection).await {
            Ok(open) => open,
            Err(Some(outcome)) => return self.finish(&claim.mail, lease, delivery, &outcome, false).await,
            Err(None) => return self.end(&claim.mail, lease, delivery.interrupted(), None).await,
        };
        self.env.ledger.begin_attempt(&lease, &frozen, self.env.clock.now()).await?;
        let commit_dot = async {
            let committed = self.env.ledger.commit_dot(&lease, self.env.clock.now()).await;
            if let Err(error) = &committed {
                let error = report::chain(error);
                tracing::error!(delivery.id = %claim.mail.delivery, error, "no dot commit, so the mail was not sent");
            }
            committed.is_ok()
        };
        let from = &self.env.relay.settings().return_path;
        match open.send(from, &claim.mail.to, &bytes, commit_dot, self.stop).await {
            Ok(outcome) => {
                if open.is_usable() {
                    *connection = Some(open);
                }
                self.finish(&claim.mail, lease, delivery, &outcome, reused).await
            }
            Err(reason) => {
                if reason == NotSent::NoDotCommit {
                    self.halt.cancel();
                }
                self.end(&claim.mail, lease, delivery.interrupted(), None).await
            }
        }
    }

    /// The connection that was kept, or a fresh one; `Err(None)` if the program is to stop.
    async fn connection(&self, kept: &mut Option<Connection>) -> Result<Connection, Option<Outcome>> {
        if let Some(open) = kept.take() {
            return Ok(open);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(None),
            connected = self.env.relay.connect() => connected.map_err(Some),
        }
    }

    /// Whether a list of the mail's profile, which may have another alias by now, still names its recipient.
    fn is_listed(&self, mail: &Mail) -> bool {
        let config = &self.env.config;
        let named = config.profiles.iter().find(|profile| profile.name == mail.profile);
        let covering = config.profiles.iter().filter(|profile| profile.scope.covers(&mail.invoice));
        let narrowest = covering.min_by_key(|profile| matches!(profile.scope, Scope::Account { .. }));
        let profile = named.or(narrowest);
        let lists =
            config.lists.iter().filter(|list| profile.is_some_and(|profile| profile.lists.contains(&list.name)));
        lists.flat_map(|list| &list.members).any(|member| member.address.is_same_mailbox(&mail.to))
    }

    async fn attachments(&self, mail: &Mail) -> Result<Vec<Vec<u8>>, archive::Error> {
        let mut attachments = Vec::new();
        for document in &mail.documents {
            attachments.push(self.env.archive.get(document.sha256).await?);
        }
        Ok(attachments)
    }

    /// The bytes to offer: those that were fixed if an attempt may have been accepted with them, else fresh ones.
    fn bytes(&self, mail: &Mail, frozen: Option<Frozen>, attachments: &[Vec<u8>]) -> Result<(Frozen, Vec<u8>), String> {
        let settings = self.env.relay.settings();
        let build = || match frozen {
            Some(frozen) => Ok(frozen),
            None => compose(mail, attachments, settings, &self.env.templates, self.env.clock.now()),
        };
        // One mail that cannot be composed must not take the others with it.
        let frozen = catch_unwind(AssertUnwindSafe(build))
            .map_err(|_| "composing the mail failed unexpectedly: please report it".to_owned())?
            .map_err(|error| report::chain(&error))?;
        let bytes = freeze::thaw(&frozen, attachments).map_err(|error| report::chain(&error))?;
        Ok((frozen, bytes))
    }

    /// Writes down the verdict; `reused` says that the connection had carried an earlier mail.
    async fn finish(
        &self,
        mail: &Mail,
        lease: Lease,
        delivery: Delivery,
        outcome: &Outcome,
        reused: bool,
    ) -> Result<(), ledger::Error> {
        let lapsed = reused && is_lapsed(outcome);
        if let Some(failure) = outcome.failure().filter(|_| outcome.is_relay_trouble() && !lapsed) {
            let reason = mask_addresses(&failure.reason);
            if !self.halt.is_cancelled() {
                tracing::error!(reason, "the relay is in trouble, deliveries wait");
            }
            self.with(|delivered| delivered.relay_trouble = Some(reason));
            self.halt.cancel();
        }
        let after = delivery.after(outcome, &self.env.config.delivery, self.env.clock.now());
        if lapsed {
            return self.env.ledger.finish(lease, &after, Some(outcome), self.env.clock.now()).await;
        }
        self.end(mail, lease, after, Some(outcome)).await
    }

    async fn end(
        &self,
        mail: &Mail,
        lease: Lease,
        after: Delivery,
        outcome: Option<&Outcome>,
    ) -> Result<(), ledger::Error> {
        self.env.ledger.finish(lease, &after, outcome, self.env.clock.now()).await?;
        let reason = mask_addresses(after.reason.as_deref().unwrap_or_default());
        let (id, number, profile) = (&after.id, mail.invoice.number(), &mail.profile);
        match after.state {
            State::Accepted => tracing::info!(delivery.id = %id, invoice.number = %number, profile, "accepted"),
            State::Held | State::Refused | State::Expired => {
                let state = after.state.as_str();
                tracing::error!(delivery.id = %id, invoice.number = %number, profile, state, reason, "a person must look");
            }
            // The relay's trouble is told once for all, a stop is no trouble.
            State::Pending if outcome.is_none_or(Outcome::is_relay_trouble) => {
                tracing::info!(delivery.id = %id, invoice.number = %number, profile, reason, "waits");
            }
            state => {
                let state = state.as_str();
                tracing::warn!(delivery.id = %id, invoice.number = %number, profile, state, reason, "not accepted");
            }
        }
        self.with(|delivered| delivered.count(after.state));
        Ok(())
    }

    fn with(&self, act: impl FnOnce(&mut Delivered)) {
        act(&mut self.delivered.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether the server only closed a connection that had served before: then a fresh one will do.
fn is_lapsed(outcome: &Outcome) -> bool {
    let failure = outcome.failure();
    failure.is_some_and(|failure| {
        failure.phase == Phase::Mail && failure.reply.as_ref().is_none_or(|reply| reply.code == 421)
    })
}
