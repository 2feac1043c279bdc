//! A delivery: one mail to one recipient, and its whole state machine.

use jiff::Timestamp;

use super::attempt::{Outcome, Phase, Scope};
use super::retry::{OnInDoubt, RetryPolicy, after};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Waits for `due_at`.
    Pending,
    /// Claimed: an attempt is under way.
    Sending,
    /// Our final dot left and no verdict came.
    InDoubt,
    /// The relay took responsibility.
    Accepted,
    /// A permanent refusal of this recipient or message.
    Refused,
    /// Given up by age.
    Expired,
    /// Needs a person.
    Held,
    /// The recipient is no longer opted in.
    Withdrawn,
    /// A later bounce told so.
    Bounced,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Sending,
        Self::InDoubt,
        Self::Accepted,
        Self::Refused,
        Self::Expired,
        Self::Held,
        Self::Withdrawn,
        Self::Bounced,
    ];

    /// The ledger's and the operator's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::InDoubt => "in_doubt",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::Withdrawn => "withdrawn",
            Self::Bounced => "bounced",
        }
    }

    /// Reads the ledger's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Sending | Self::InDoubt | Self::Held)
    }
}

/// What the state machine needs to know of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, from which its jitter comes.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Why, where a person would ask.
    pub reason: Option<String>,
    /// How many attempts were charged to it; relay trouble charges nobody.
    pub charged: u32,
    /// How many attempts ended, or were found, in doubt.
    pub in_doubt: u32,
    /// When it was recorded.
    pub queued_at: Timestamp,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
    /// What to do in doubt: the member's own choice, or the policy's.
    pub on_in_doubt: OnInDoubt,
}

impl Delivery {
    /// The delivery after an attempt ended with `outcome` at `now`: the whole state machine.
    #[must_use]
    pub fn after(self, outcome: &Outcome, policy: &RetryPolicy, now: Timestamp) -> Self {
        match outcome {
            Outcome::Accepted(_) => self.finish(State::Accepted, None, now),
            Outcome::InDoubt(failure) => self.doubt(failure.reason.clone(), policy, now),
            Outcome::TransientFailure(failure) | Outcome::PermanentFailure(failure)
                if failure.scope == Scope::Relay =>
            {
                if failure.phase >= Phase::Rcpt {
                    // The relay heard the recipient: it may be this mail that it cannot bear.
                    return self.put_off(failure.reason.clone(), policy, now);
                }
                Self { state: self.waiting(), reason: Some(failure.reason.clone()), ..self }
            }
            Outcome::PermanentFailure(failure) => self.finish(State::Refused, Some(failure.reason.clone()), now),
            Outcome::TransientFailure(failure) => self.retry(failure.reason.clone(), policy, now),
        }
    }

    /// The delivery after our dot left and no verdict came: wait and send the identical bytes once, or hold.
    #[must_use]
    pub fn doubt(self, reason: String, policy: &RetryPolicy, now: Timestamp) -> Self {
        let in_doubt = self.in_doubt + 1;
        let charged = self.charged + 1;
        if self.on_in_doubt == OnInDoubt::Resend && in_doubt == 1 {
            let due_at = after(now, policy.in_doubt_wait);
            return Self { state: State::InDoubt, reason: Some(reason), in_doubt, charged, due_at, ..self };
        }
        let reason = format!("in doubt: {reason}; look whether the message arrived");
        Self { state: State::Held, reason: Some(reason), in_doubt, charged, ..self }
    }

    /// The delivery after a failure that needs a person.
    #[must_use]
    pub fn hold(self, reason: String) -> Self {
        Self { state: State::Held, reason: Some(reason), ..self }
    }

    /// The delivery whose recipient is no longer opted in.
    #[must_use]
    pub fn withdraw(self, now: Timestamp) -> Self {
        self.end(State::Withdrawn, Some("the recipient is no longer on a list of the profile".to_owned()), now)
    }

    /// The delivery that waits through no fault of its own or of the relay's: nobody is charged, others go first.
    #[must_use]
    pub fn put_off(self, reason: String, policy: &RetryPolicy, now: Timestamp) -> Self {
        let due_at = after(now, policy.wait(1, jitter(&self.id)));
        Self { state: self.waiting(), reason: Some(reason), due_at, ..self }
    }

    /// The delivery after an attempt that was given up before the dot, because the program stopped.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self { state: self.waiting(), ..self }
    }

    /// How it waits: a message that may have been accepted stays in doubt until a verdict comes.
    fn waiting(&self) -> State {
        if self.in_doubt > 0 { State::InDoubt } else { State::Pending }
    }

    fn retry(self, reason: String, policy: &RetryPolicy, now: Timestamp) -> Self {
        // However long it waited for the relay, the first refusal alone never ends it.
        if self.charged > 0 && now >= after(self.queued_at, policy.give_up_after) {
            return self.finish(State::Expired, Some(reason), now);
        }
        let charged = self.charged + 1;
        let due_at = after(now, policy.wait(charged, jitter(&self.id)));
        Self { state: self.waiting(), reason: Some(reason), charged, due_at, ..self }
    }

    fn finish(self, state: State, reason: Option<String>, now: Timestamp) -> Self {
        Self { charged: self.charged + 1, ..self }.end(state, reason, now)
    }

    fn end(self, state: State, reason: Option<String>, now: Timestamp) -> Self {
        if self.in_doubt > 0 && state != State::Accepted {
            // What became of the copy says nothing about the first message.
            let reason = reason.unwrap_or_default();
            return self.hold(format!("in doubt: an earlier attempt may have arrived, no copy did: {reason}"));
        }
        Self { state, reason, finished_at: Some(now), ..self }
    }
}

/// A number that spreads deliveries: FNV-1a of the id.
fn jitter(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::attempt::Reply;
    use crate::domain::label::Label;

    const POLICY_WAIT: Duration = Duration::from_mins(15);

    fn policy() -> RetryPolicy {
        RetryPolicy {
            retry: vec![Duration::from_mins(5)],
            give_up_after: Duration::from_hours(120),
            on_in_doubt: OnInDoubt::Resend,
            in_doubt_wait: POLICY_WAIT,
        }
    }

    fn delivery() -> Delivery {
        Delivery {
            id: "d".into(),
            state: State::Sending,
            reason: None,
            charged: 0,
            in_doubt: 0,
            queued_at: Timestamp::UNIX_EPOCH,
            due_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            on_in_doubt: OnInDoubt::Resend,
        }
    }

    fn reply(phase: Phase, code: u16) -> Outcome {
        let reply = Reply { code, text: Label::new("x") };
        if code == 250 { Outcome::Accepted(reply) } else { Outcome::of_reply(phase, reply) }
    }

    #[test]
    fn each_outcome_leads_to_one_state() {
        let eof = |phase| Outcome::of_break(phase, "the connection broke".into());
        for (outcome, state, charged) in [
            (reply(Phase::FinalDot, 250), State::Accepted, 1),
            (reply(Phase::Rcpt, 550), State::Refused, 1),
            (reply(Phase::Rcpt, 451), State::Pending, 1),
            (reply(Phase::FinalDot, 554), State::Refused, 1),
            (reply(Phase::FinalDot, 354), State::InDoubt, 1),
            (reply(Phase::Auth, 535), State::Pending, 0),
            (reply(Phase::Mail, 550), State::Pending, 0),
            (reply(Phase::FinalDot, 421), State::Pending, 0),
            (eof(Phase::Connect), State::Pending, 0),
            (eof(Phase::Data), State::Pending, 1),
            (eof(Phase::FinalDot), State::InDoubt, 1),
        ] {
            let after = delivery().after(&outcome, &policy(), Timestamp::UNIX_EPOCH);
            assert_eq!((after.state, after.charged), (state, charged), "{outcome:?}");
            assert_eq!(after.finished_at.is_some(), state.is_final());
        }
    }

    #[test]
    fn in_doubt_is_sent_once_more_then_held() {
        let lost = Outcome::of_break(Phase::FinalDot, "no answer".into());
        let now = Timestamp::UNIX_EPOCH;
        let once = delivery().after(&lost, &policy(), now);
        assert_eq!((once.state, once.due_at), (State::InDoubt, after(now, POLICY_WAIT)));
        let deferred = once.clone().after(&reply(Phase::Rcpt, 451), &policy(), now);
        assert_eq!(deferred.state, State::InDoubt, "a refusal of the copy says nothing about the first message");
        let refused = once.clone().after(&reply(Phase::Rcpt, 550), &policy(), now);
        assert_eq!(refused.state, State::Held, "the first message may have arrived");
        let twice = once.after(&lost, &policy(), now);
        assert_eq!(twice.state, State::Held);
        let left = delivery().after(&lost, &policy(), now).withdraw(now);
        assert_eq!(left.state, State::Held, "who left may have got the first message");
        assert_eq!(delivery().withdraw(now).state, State::Withdrawn);
        let careful = Delivery { on_in_doubt: OnInDoubt::Hold, ..delivery() };
        assert_eq!(careful.after(&lost, &policy(), now).state, State::Held);
    }

    #[test]
    fn age_ends_a_delivery_that_is_put_off() {
        let late = after(Timestamp::UNIX_EPOCH, policy().give_up_after);
        let first = delivery().after(&reply(Phase::Rcpt, 451), &policy(), late);
        assert_eq!(first.state, State::Pending, "it waited for the relay, not for the recipient");
        assert_eq!(first.after(&reply(Phase::Rcpt, 451), &policy(), late).state, State::Expired);
        assert_eq!(delivery().after(&reply(Phase::Auth, 451), &policy(), late).state, State::Pending);
    }
}
