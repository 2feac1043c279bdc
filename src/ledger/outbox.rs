//! The outbox: claim a due delivery, begin an attempt, commit the dot, finish with the verdict.
//!
//! A claimed row carries owner, fence and lease; every write names the fence it was claimed with, and a write that
//! meets another fence fails. The lease is counted by the database's clock.

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, Transaction};

use crate::domain::attempt::Outcome;
use crate::domain::delivery::{Delivery, State};
use crate::domain::document::Sha256Hash;
use crate::domain::mail::{Frozen, Mail};
use crate::domain::retry::RetryPolicy;

use super::error::Doing as _;
use super::{Error, Ledger, at};

/// How long a claim lasts, in milliseconds: longer than a whole dialogue at the limits of RFC 5321 4.5.3.2.
const LEASE_MS: i64 = 45 * 60 * 1000;

/// How long after a dot commit nobody else may claim the row, in milliseconds: the ten minutes that a server may take
/// to answer the final dot (RFC 5321 4.5.3.2.6), and one more.
const DOT_GUARD_MS: i64 = 660 * 1000;

/// The right to decide about one delivery: consumed when the attempt is finished.
#[derive(Debug)]
#[must_use = "a lease that is dropped keeps its delivery in `sending` until it runs out"]
pub struct Lease {
    delivery: String,
    fence: i64,
}

/// A claimed delivery with all that sending it takes.
#[derive(Debug)]
pub struct Claim {
    /// The right to send it.
    pub lease: Lease,
    /// Where it stands.
    pub delivery: Delivery,
    /// What it says.
    pub mail: Mail,
    /// Its bytes, if they were fixed and an attempt is or may be accepted: they must be used again.
    pub frozen: Option<Frozen>,
}

#[derive(FromRow)]
struct ClaimRow {
    id: String,
    fence: i64,
    charged: i64,
    doubts: i64,
    queued_at: i64,
    due_at: i64,
    reason: Option<String>,
}

impl ClaimRow {
    fn delivery(self, policy: &RetryPolicy) -> (Lease, Delivery) {
        let delivery = Delivery {
            id: self.id.clone(),
            state: State::Sending,
            reason: self.reason,
            charged: u32::try_from(self.charged).unwrap_or(u32::MAX),
            in_doubt: u32::try_from(self.doubts).unwrap_or(u32::MAX),
            queued_at: at(self.queued_at),
            due_at: at(self.due_at),
            finished_at: None,
            on_in_doubt: policy.on_in_doubt,
        };
        (Lease { delivery: self.id, fence: self.fence }, delivery)
    }
}

impl Ledger {
    /// Claims the delivery that has been due longest at `due_by`, if there is one. One that cannot be read is held.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn claim(&self, due_by: Timestamp, policy: &RetryPolicy) -> Result<Option<Claim>, Error> {
        while let Some(row) = self.claim_row(due_by).await? {
            let (lease, delivery) = row.delivery(policy);
            match self.read_claim(&lease.delivery).await {
                Ok((mail, frozen)) => return Ok(Some(Claim { lease, delivery, mail, frozen })),
                Err(error @ Error::Unreadable { .. }) => {
                    tracing::error!(delivery.id = lease.delivery, error = %error, "held");
                    self.finish(lease, &delivery.hold(error.to_string()), None, due_by).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn claim_row(&self, due_by: Timestamp) -> Result<Option<ClaimRow>, Error> {
        sqlx::query_as(
            "UPDATE deliveries SET state = 'sending', owner = $1, fence = fence + 1,
               lease_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2
             WHERE seq = (SELECT seq FROM deliveries WHERE state IN ('pending', 'in_doubt') AND due_at <= $3
                          ORDER BY due_at, seq LIMIT 1)
             RETURNING id, fence, charged, doubts, queued_at, due_at, reason",
        )
        .bind(&self.owner)
        .bind(LEASE_MS)
        .bind(due_by.as_millisecond())
        .fetch_optional(&self.write)
        .await
        .doing("claim a delivery")
    }

    async fn read_claim(&self, delivery: &str) -> Result<(Mail, Option<Frozen>), Error> {
        Ok((self.mail(delivery).await?, self.frozen(delivery, true).await?))
    }

    /// The fixed bytes of a delivery; with `binding`, only if an attempt is, or may be, accepted with them.
    ///
    /// # Errors
    /// If the database fails or the row cannot be read.
    pub async fn frozen(&self, delivery: &str, binding: bool) -> Result<Option<Frozen>, Error> {
        let row: Option<(i64, String, Vec<u8>)> = sqlx::query_as(
            "SELECT frozen_at, sha256, segments FROM frozen WHERE delivery_id = $1 AND ($2 = 0 OR EXISTS
               (SELECT 1 FROM attempts WHERE delivery_id = $1 AND dot_at IS NOT NULL
                AND (outcome IS NULL OR outcome IN ('accepted', 'in_doubt'))))",
        )
        .bind(delivery)
        .bind(i64::from(binding))
        .fetch_optional(&self.read)
        .await
        .doing("read the bytes of a mail")?;
        let Some((frozen_at, sha256, blob)) = row else { return Ok(None) };
        let unreadable = || Error::Unreadable { what: format!("frozen mail of delivery {delivery}") };
        let sha256 = Sha256Hash::from_hex(&sha256).ok_or_else(unreadable)?;
        let segments = Frozen::segments_of(&blob).ok_or_else(unreadable)?;
        Ok(Some(Frozen { frozen_at: at(frozen_at), sha256, segments }))
    }

    /// Commits an attempt, and the bytes it will offer, before anything is said to the relay about this delivery.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if somebody else holds the delivery now.
    pub async fn begin_attempt(&self, lease: &Lease, frozen: &Frozen, now: Timestamp) -> Result<(), Error> {
        let doing = "begin an attempt";
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO frozen (delivery_id, frozen_at, sha256, segments) VALUES ($1, $2, $3, $4)
             ON CONFLICT (delivery_id) DO UPDATE SET frozen_at = excluded.frozen_at, sha256 = excluded.sha256,
               segments = excluded.segments WHERE sha256 <> excluded.sha256",
        )
        .bind(&lease.delivery)
        .bind(frozen.frozen_at.as_millisecond())
        .bind(frozen.sha256.to_string())
        .bind(frozen.to_blob())
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        let begun = sqlx::query(
            "INSERT INTO attempts (delivery_id, number, fence, sha256, began_at)
             SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE delivery_id = $1), fence, $4, $5
             FROM deliveries WHERE id = $1 AND fence = $2 AND owner = $3",
        )
        .bind(&lease.delivery)
        .bind(lease.fence)
        .bind(&self.owner)
        .bind(frozen.sha256.to_string())
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        if begun.rows_affected() != 1 {
            return Err(Error::LeaseLost(lease.delivery.clone()));
        }
        tx.commit().await.doing(doing)
    }

    /// Commits that the final dot is about to leave. Without this commit it must not be sent.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the lease ran out or somebody else holds the delivery now.
    pub async fn commit_dot(&self, lease: &Lease, now: Timestamp) -> Result<(), Error> {
        let doing = "commit the final dot";
        let mut tx = self.begin().await?;
        let kept = sqlx::query(
            "UPDATE deliveries SET lease_until = max(lease_until, CAST(unixepoch('subsec') * 1000 AS INTEGER) + $4)
             WHERE id = $1 AND fence = $2 AND owner = $3
               AND lease_until > CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        )
        .bind(&lease.delivery)
        .bind(lease.fence)
        .bind(&self.owner)
        .bind(DOT_GUARD_MS)
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        let dotted = sqlx::query(
            "UPDATE attempts SET dot_at = $3 WHERE delivery_id = $1 AND fence = $2 AND finished_at IS NULL",
        )
        .bind(&lease.delivery)
        .bind(lease.fence)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        if kept.rows_affected() != 1 || dotted.rows_affected() != 1 {
            return Err(Error::LeaseLost(lease.delivery.clone()));
        }
        tx.commit().await.doing(doing)
    }

    /// Closes the attempt, if one was begun, and writes down where the delivery stands now; frees the lease.
    ///
    /// `outcome` is `None` if the attempt was given up before the dot.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if somebody else holds the delivery now.
    pub async fn finish(
        &self,
        lease: Lease,
        after: &Delivery,
        outcome: Option<&Outcome>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "finish an attempt";
        let mut tx = self.begin().await?;
        close_attempt(&mut tx, &lease, outcome, now).await?;
        let freed = store(&mut tx, &lease, after, outcome, Some(&self.owner)).await?;
        if !freed {
            return Err(Error::LeaseLost(lease.delivery));
        }
        tx.commit().await.doing(doing)
    }

    /// Takes back what a daemon that died, or a task that hung, left in `sending`; gives how many.
    ///
    /// Without a dot commit the delivery is due again at once; with one it is in doubt.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn recover(&self, policy: &RetryPolicy, now: Timestamp) -> Result<usize, Error> {
        let doing = "recover interrupted deliveries";
        let mut tx = self.begin().await?;
        let rows: Vec<ClaimRow> = sqlx::query_as(
            "SELECT id, fence, charged, doubts, queued_at, due_at, reason FROM deliveries
             WHERE state = 'sending' AND (owner <> $1 OR lease_until < CAST(unixepoch('subsec') * 1000 AS INTEGER))",
        )
        .bind(&self.owner)
        .fetch_all(&mut *tx)
        .await
        .doing(doing)?;
        let recovered = rows.len();
        for row in rows {
            let (lease, delivery) = row.delivery(policy);
            recover_one(&mut tx, &lease, delivery, policy, now).await?;
        }
        tx.commit().await.doing(doing)?;
        Ok(recovered)
    }
}

async fn recover_one(
    tx: &mut Transaction<'static, Sqlite>,
    lease: &Lease,
    delivery: Delivery,
    policy: &RetryPolicy,
    now: Timestamp,
) -> Result<(), Error> {
    let dot_at: Option<i64> =
        sqlx::query_scalar("SELECT dot_at FROM attempts WHERE delivery_id = $1 AND finished_at IS NULL")
            .bind(&lease.delivery)
            .fetch_optional(&mut **tx)
            .await
            .doing("read an interrupted attempt")?
            .flatten();
    let (after, outcome) = match dot_at {
        None => (delivery.interrupted(), None),
        Some(dot_at) => {
            let reason = "the program ended before the answer to the final dot was recorded";
            let outcome = Outcome::of_break(crate::domain::attempt::Phase::FinalDot, reason.to_owned());
            (delivery.doubt(reason.to_owned(), policy, at(dot_at)), Some(outcome))
        }
    };
    close_attempt(tx, lease, outcome.as_ref(), now).await?;
    store(tx, lease, &after, outcome.as_ref(), None).await?;
    Ok(())
}

async fn close_attempt(
    tx: &mut Transaction<'static, Sqlite>,
    lease: &Lease,
    outcome: Option<&Outcome>,
    now: Timestamp,
) -> Result<(), Error> {
    let failure = outcome.and_then(Outcome::failure);
    sqlx::query(
        "UPDATE attempts SET finished_at = $3, outcome = $4, phase = $5, code = $6, reason = $7
         WHERE delivery_id = $1 AND fence = $2 AND finished_at IS NULL",
    )
    .bind(&lease.delivery)
    .bind(lease.fence)
    .bind(now.as_millisecond())
    .bind(outcome.map_or("interrupted", Outcome::as_str))
    .bind(failure.map(|failure| failure.phase.as_str()))
    .bind(outcome.and_then(Outcome::reply).map(|reply| i64::from(reply.code)))
    .bind(failure.map(|failure| failure.reason.clone()))
    .execute(&mut **tx)
    .await
    .doing("close an attempt")?;
    Ok(())
}

/// Writes where a delivery stands and frees its lease; `false` if the fence, or the owner if given, is another.
async fn store(
    tx: &mut Transaction<'static, Sqlite>,
    lease: &Lease,
    after: &Delivery,
    outcome: Option<&Outcome>,
    owner: Option<&str>,
) -> Result<bool, Error> {
    let stored = sqlx::query(
        "UPDATE deliveries SET state = $4, reason = $5, charged = $6, doubts = $7, due_at = $8, finished_at = $9,
           reply = coalesce($10, reply), owner = NULL, lease_until = NULL
         WHERE id = $1 AND fence = $2 AND ($3 IS NULL OR owner = $3)",
    )
    .bind(&lease.delivery)
    .bind(lease.fence)
    .bind(owner)
    .bind(after.state.as_str())
    .bind(&after.reason)
    .bind(i64::from(after.charged))
    .bind(i64::from(after.in_doubt))
    .bind(after.due_at.as_millisecond())
    .bind(after.finished_at.map(Timestamp::as_millisecond))
    .bind(outcome.and_then(Outcome::reply).map(ToString::to_string))
    .execute(&mut **tx)
    .await
    .doing("store a delivery")?;
    Ok(stored.rows_affected() == 1)
}
