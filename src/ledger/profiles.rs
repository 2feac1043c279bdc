//! When each profile was looked at, and when it is next.

use jiff::Timestamp;

use super::error::Doing as _;
use super::{Error, Ledger, at};

/// What the ledger knows of a profile's looks.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Look {
    /// The profile's alias.
    pub name: String,
    /// The billing account, once it was resolved.
    pub billing_account: Option<String>,
    first_look_at: i64,
    last_complete_look_at: Option<i64>,
    next_look_at: i64,
    /// Why the last look failed or was not complete.
    pub problem: Option<String>,
}

impl Look {
    /// When the profile was first looked at, whatever came of it.
    #[must_use]
    pub fn first_look_at(&self) -> Timestamp {
        at(self.first_look_at)
    }

    /// When the profile was last looked at completely.
    #[must_use]
    pub fn last_complete_look_at(&self) -> Option<Timestamp> {
        self.last_complete_look_at.map(at)
    }

    /// When the next look is due.
    #[must_use]
    pub fn next_look_at(&self) -> Timestamp {
        at(self.next_look_at)
    }
}

impl Ledger {
    /// The looks of the profile `name`; a profile never seen is entered as due now.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn look(&self, name: &str, now: Timestamp) -> Result<Look, Error> {
        let doing = "read a profile";
        let read = "SELECT * FROM profiles WHERE name = $1";
        if let Some(look) = sqlx::query_as(read).bind(name).fetch_optional(&self.read).await.doing(doing)? {
            return Ok(look);
        }
        sqlx::query(
            "INSERT INTO profiles (name, first_look_at, next_look_at) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(now.as_millisecond())
        .execute(&self.write)
        .await
        .doing(doing)?;
        sqlx::query_as(read).bind(name).fetch_one(&self.read).await.doing(doing)
    }

    /// Keeps the billing account that a profile's subscription was resolved to.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn keep_billing_account(&self, name: &str, account: &str) -> Result<(), Error> {
        let statement = "UPDATE profiles SET billing_account = $2 WHERE name = $1";
        let query = sqlx::query(statement).bind(name).bind(account);
        query.execute(&self.write).await.doing("keep a billing account")?;
        Ok(())
    }

    /// Records the end of a look: whether the list was complete, and what it left open, if anything.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn looked(
        &self,
        name: &str,
        now: Timestamp,
        next: Timestamp,
        is_complete: bool,
        problem: Option<&str>,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE profiles SET last_look_at = $2, next_look_at = $3, problem = $4,
               last_complete_look_at = CASE WHEN $5 THEN $2 ELSE last_complete_look_at END
             WHERE name = $1",
        )
        .bind(name)
        .bind(now.as_millisecond())
        .bind(next.as_millisecond())
        .bind(problem)
        .bind(is_complete)
        .execute(&self.write)
        .await
        .doing("record a look")?;
        Ok(())
    }
}
