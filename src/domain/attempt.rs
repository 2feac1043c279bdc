//! One SMTP transaction: how far it got, what the server said, and what that means.

use std::fmt;

use super::label::Label;

/// The command that a reply, or a failure, belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Name resolution and TCP.
    Connect,
    /// The server's greeting and EHLO.
    Greeting,
    /// STARTTLS and the handshake.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and the body, up to but without the final dot.
    Data,
    /// The final dot and its reply.
    FinalDot,
}

impl Phase {
    const ALL: [Self; 8] =
        [Self::Connect, Self::Greeting, Self::Tls, Self::Auth, Self::Mail, Self::Rcpt, Self::Data, Self::FinalDot];

    /// The ledger's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::FinalDot => "final_dot",
        }
    }

    /// Reads the ledger's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

/// A server's reply (RFC 5321 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text, its lines joined by blanks.
    pub text: Label,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// What a failure is about: the relay as a whole or this one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Connection, encryption, sign-in or sender: no delivery would fare better. The relay is paused, nobody is charged.
    Relay,
    /// This recipient or this message.
    Delivery,
}

/// The end of one attempt. Sending cannot fail, it has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took responsibility: 2yz to the final dot.
    Accepted(Reply),
    /// Not accepted, and worth another try.
    TransientFailure(Failure),
    /// Not accepted, and another try would end the same.
    PermanentFailure(Failure),
    /// The final dot left and no verdict came: the message may or may not have been accepted.
    InDoubt(Failure),
}

/// Why an attempt did not end in acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The command that failed.
    pub phase: Phase,
    /// What the failure is about.
    pub scope: Scope,
    /// The server's reply, if there was one.
    pub reply: Option<Reply>,
    /// What happened, for a person.
    pub reason: String,
}

impl Outcome {
    /// The verdict on a reply that is not the one hoped for, by phase and first digit.
    ///
    /// Up to MAIL the relay is in question: we have one sender and one account, so a refusal there is nobody's mailbox.
    /// The exception is 552 to MAIL, which is about this message's size (RFC 1870). From RCPT on it is the delivery,
    /// save 421, with which a server closes the whole connection (RFC 5321 3.8). After the dot any 4yz or 5yz says
    /// that the message was not accepted; a 1yz or 3yz there says nothing.
    #[must_use]
    pub fn of_reply(phase: Phase, reply: Reply) -> Self {
        let relay = phase < Phase::Mail || (phase == Phase::Mail && reply.code != 552) || reply.code == 421;
        let scope = if relay { Scope::Relay } else { Scope::Delivery };
        let digit = reply.code / 100;
        let reason = format!("the server answered `{reply}` to {}", phase.command());
        let failure = Failure { phase, scope, reply: Some(reply), reason };
        match digit {
            5 => Self::PermanentFailure(failure),
            4 => Self::TransientFailure(failure),
            _ if phase == Phase::FinalDot => Self::InDoubt(failure),
            _ => Self::TransientFailure(failure),
        }
    }

    /// The verdict on a connection that broke or stalled: before the dot nothing was delivered, after it nobody knows.
    #[must_use]
    pub fn of_break(phase: Phase, reason: String) -> Self {
        let scope = if phase <= Phase::Mail { Scope::Relay } else { Scope::Delivery };
        let failure = Failure { phase, scope, reply: None, reason };
        if phase == Phase::FinalDot { Self::InDoubt(failure) } else { Self::TransientFailure(failure) }
    }

    /// The ledger's spelling.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::TransientFailure(_) => "transient_failure",
            Self::PermanentFailure(_) => "permanent_failure",
            Self::InDoubt(_) => "in_doubt",
        }
    }

    /// The failure, unless the message was accepted.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Accepted(_) => None,
            Self::TransientFailure(f) | Self::PermanentFailure(f) | Self::InDoubt(f) => Some(f),
        }
    }

    /// The server's reply, if there was one.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Accepted(reply) => Some(reply),
            other => other.failure().and_then(|failure| failure.reply.as_ref()),
        }
    }

    /// Whether the relay as a whole is in trouble.
    #[must_use]
    pub fn is_relay_trouble(&self) -> bool {
        self.failure().is_some_and(|failure| failure.scope == Scope::Relay)
    }
}

impl Phase {
    /// The command as an operator knows it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting and EHLO",
            Self::Tls => "TLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::FinalDot => "the final dot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_at_every_phase_has_one_verdict() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
            for code in 100..600 {
                let outcome = Outcome::of_reply(phase, Reply { code, text: Label::new("x") });
                let expected = match code / 100 {
                    5 => "permanent_failure",
                    4 => "transient_failure",
                    _ if phase == Phase::FinalDot => "in_doubt",
                    _ => "transient_failure",
                };
                assert_eq!(outcome.as_str(), expected, "{code} at {phase:?}");
            }
        }
    }

    #[test]
    fn the_scope_follows_the_phase() {
        for (phase, code, relay) in [
            (Phase::Greeting, 554, true),
            (Phase::Auth, 535, true),
            (Phase::Mail, 550, true),
            (Phase::Mail, 552, false),
            (Phase::Rcpt, 550, false),
            (Phase::Rcpt, 421, true),
            (Phase::Data, 451, false),
            (Phase::FinalDot, 554, false),
            (Phase::FinalDot, 421, true),
        ] {
            let outcome = Outcome::of_reply(phase, Reply { code, text: Label::new("x") });
            assert_eq!(outcome.is_relay_trouble(), relay, "{code} at {phase:?}");
        }
        assert_eq!(Outcome::of_break(Phase::FinalDot, "EOF".into()).as_str(), "in_doubt");
        assert_eq!(Outcome::of_break(Phase::Data, "EOF".into()).as_str(), "transient_failure");
    }
}
