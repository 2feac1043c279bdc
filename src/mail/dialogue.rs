//! One SMTP transaction, phase by phase, with a deadline each: from MAIL to the verdict on the final dot.

use std::error::Error as _;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use lettre::Address as SmtpAddress;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::attempt::{Outcome, Phase, Reply, Scope};
use crate::domain::label::Label;
use crate::domain::recipients::Address;

use super::relay::Deadlines;
use super::wire::Gate;

/// How much of the body is written at a time.
const BLOCK: usize = 64 * 1024;

/// The longest a whole body may take: well within the time for which a delivery is claimed.
const LONGEST_BODY: Duration = Duration::from_mins(20);

/// How long a server may take to answer RSET or to say goodbye: the verdict waits to be written down.
const QUIT: Duration = Duration::from_secs(2);

/// A connection to the relay, ready for MAIL.
pub struct Connection {
    smtp: AsyncSmtpConnection,
    gate: Gate,
    deadlines: Deadlines,
    usable: bool,
}

/// Why a transaction ended without an outcome: the final dot did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The program is to stop.
    Stopped,
    /// The dot commit was not made.
    NoDotCommit,
}

impl Connection {
    pub(super) fn new(smtp: AsyncSmtpConnection, gate: Gate, deadlines: Deadlines) -> Self {
        Self { smtp, gate, deadlines, usable: true }
    }

    /// Whether another transaction may follow on this connection.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Offers one message to one recipient.
    ///
    /// `commit_dot` runs when all of the body is written; the final dot leaves only if it gives `true`. Before that,
    /// `stop` ends the transaction; after it the answer is waited for.
    ///
    /// # Errors
    /// [`NotSent`] if the transaction was given up before the final dot.
    pub async fn send(
        &mut self,
        from: &Address,
        to: &Address,
        message: &[u8],
        commit_dot: impl Future<Output = bool>,
        stop: &CancellationToken,
    ) -> Result<Outcome, NotSent> {
        // Until the transaction ends well, nobody knows what state the connection is in.
        self.usable = false;
        let envelope = async {
            self.command(Phase::Mail, Mail::new(Some(smtp_address(Phase::Mail, from)?), vec![])).await?;
            self.command(Phase::Rcpt, Rcpt::new(smtp_address(Phase::Rcpt, to)?, vec![])).await?;
            self.command(Phase::Data, Data).await
        };
        let begun = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(NotSent::Stopped),
            begun = envelope => begun,
        };
        if let Err(mut outcome) = begun {
            self.usable = self.reset(&outcome).await;
            if let Outcome::PermanentFailure(failure) = &mut outcome
                && failure.phase == Phase::Mail
                && failure.scope == Scope::Relay
            {
                failure.reason += "; may this account send as smtp.from and smtp.return_path?";
            }
            return Ok(outcome);
        }
        let outcome = self.body(message, commit_dot, stop).await?;
        self.usable = matches!(outcome.reply(), Some(reply) if reply.code != 421 && reply.code / 100 != 3);
        Ok(outcome)
    }

    async fn body(
        &mut self,
        message: &[u8],
        commit_dot: impl Future<Output = bool>,
        stop: &CancellationToken,
    ) -> Result<Outcome, NotSent> {
        self.gate.shut();
        let gate = self.gate.clone();
        let blocks = u32::try_from(message.len().div_ceil(BLOCK)).unwrap_or(u32::MAX).max(1);
        let limit = self.deadlines.block.saturating_mul(blocks).min(LONGEST_BODY);
        let final_dot = self.deadlines.final_dot;
        let mut sending = std::pin::pin!(self.smtp.message_iter(message.chunks(BLOCK)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(NotSent::Stopped),
            () = gate.reached() => {}
            ended = &mut sending => return Ok(match ended {
                Ok(response) => Outcome::of_reply(Phase::Data, reply(&response)),
                Err(error) => verdict(Phase::Data, &error),
            }),
            () = sleep(limit) => return Ok(late(Phase::Data, limit)),
        }
        if !commit_dot.await {
            return Err(NotSent::NoDotCommit);
        }
        gate.open();
        Ok(match timeout(final_dot, sending).await {
            Err(_) => late(Phase::FinalDot, final_dot),
            Ok(Err(error)) => verdict(if gate.dot_left() { Phase::FinalDot } else { Phase::Data }, &error),
            Ok(Ok(response)) if response.code().severity == Severity::PositiveCompletion => {
                Outcome::Accepted(reply(&response))
            }
            Ok(Ok(response)) => Outcome::of_reply(Phase::FinalDot, reply(&response)),
        })
    }

    async fn command(&mut self, phase: Phase, command: impl Display) -> Result<(), Outcome> {
        let limit = if phase == Phase::Data { self.deadlines.data } else { self.deadlines.command };
        let wanted = if phase == Phase::Data { Severity::PositiveIntermediate } else { Severity::PositiveCompletion };
        match timeout(limit, self.smtp.command(command)).await {
            Err(_) => Err(late(phase, limit)),
            Ok(Err(error)) => Err(verdict(phase, &error)),
            Ok(Ok(response)) if response.code().severity == wanted => Ok(()),
            Ok(Ok(response)) => Err(Outcome::of_reply(phase, reply(&response))),
        }
    }

    /// Makes the connection ready for another transaction after a refusal; `false` if it is not worth it.
    async fn reset(&mut self, outcome: &Outcome) -> bool {
        let refused = matches!(outcome.reply(), Some(reply) if reply.code != 421);
        refused && timeout(QUIT, self.command(Phase::Mail, Rset)).await.is_ok_and(|reset| reset.is_ok())
    }

    /// Says goodbye; whatever happens then is of no consequence.
    pub async fn quit(mut self) {
        if self.usable {
            drop(timeout(QUIT, self.smtp.command(Quit)).await);
        }
    }
}

fn smtp_address(phase: Phase, address: &Address) -> Result<SmtpAddress, Outcome> {
    let bad = |error| Outcome::of_break(phase, format!("the address cannot be used: {error}"));
    address.as_str().parse().map_err(bad)
}

fn late(phase: Phase, limit: Duration) -> Outcome {
    Outcome::of_break(phase, format!("no answer to {} within {} s", phase.command(), limit.as_secs_f64()))
}

fn reply(response: &Response) -> Reply {
    let text = response.message().collect::<Vec<_>>().join(" ");
    Reply { code: response.code().into(), text: Label::new(&text) }
}

/// What an error of the SMTP client means in this phase: a reply if there was one, else a broken connection.
pub(super) fn verdict(phase: Phase, error: &lettre::transport::smtp::Error) -> Outcome {
    let cause = Label::new(&error.source().map_or_else(|| error.to_string(), ToString::to_string));
    match error.status() {
        Some(code) => Outcome::of_reply(phase, Reply { code: code.into(), text: cause }),
        None => Outcome::of_break(phase, format!("the connection broke at {}: {cause}", phase.command())),
    }
}
