//! What is owed, what was tried, what ended how: the only state there is, and the only module that knows SQL.
//!
//! One daemon at a time holds the ledger ([`Ledger::open`]); verbs read and write beside it ([`Ledger::join`]).
//! Every write is one `BEGIN IMMEDIATE` transaction. The ledger knows no Azure, no SMTP and no configuration file.

mod error;
mod guard;
mod history;
mod invoices;
mod outbox;
mod profiles;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::domain::document::hex;

use error::Doing as _;
pub use error::Error;
pub use history::{DeliveryFilter, DeliveryRow, InvoiceFilter, InvoiceRow, StoredDocument};
pub use invoices::{FetchedDocument, Known, KnownInvoice, NewDelivery, Recording};
pub use outbox::{Claim, Lease};
pub use profiles::Look;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a write waits for another process's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the ledger.
#[derive(Debug)]
pub struct Ledger {
    /// One connection: writes queue here instead of in SQLite's busy loop.
    write: SqlitePool,
    read: SqlitePool,
    secret: String,
    owner: String,
    /// Held for life by the daemon.
    lock: Option<File>,
}

impl Ledger {
    /// Opens the ledger as its daemon: takes the lock, creates or migrates the tables, checks file and settings.
    ///
    /// # Errors
    /// [`Error::InUse`] while another daemon holds it; the others say what is wrong with the file.
    pub async fn open(path: &Path, instance: &str) -> Result<Self, Error> {
        let is_new = guard::is_new(path);
        guard::make_private(path).map_err(|source| Error::Open { path: path.to_owned(), source: source.into() })?;
        let lock = guard::lock(path)?;
        let mut ledger = Self::connect(path).await?;
        ledger.lock = Some(lock);
        guard::check_file(&ledger.write, path).await?;
        guard::check_owner(&ledger.write, path).await?;
        guard::check_settings(&ledger.write).await?;
        MIGRATIONS.run(&ledger.write).await.map_err(|source| match source {
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => Error::OtherSchema,
            source => Error::Open { path: path.to_owned(), source: source.into() },
        })?;
        guard::stamp(&ledger, instance).await?;
        ledger.secret = guard::read_stamp(&ledger.write, instance).await?;
        if is_new {
            tracing::warn!(path = %path.display(), "a new ledger was made");
        }
        Ok(ledger)
    }

    /// Refuses to go on where the ledger seems to be lost: there is none, but `was_used` says that there was.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn check_not_lost(path: &Path, was_used: bool) -> Result<(), Error> {
        if was_used && guard::is_new(path) { Err(Error::Lost(path.to_owned())) } else { Ok(()) }
    }

    /// Joins a ledger beside its daemon: no lock, no migration.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none yet, [`Error::OtherSchema`] if it is not this version's.
    pub async fn join(path: &Path, instance: &str) -> Result<Self, Error> {
        if guard::is_new(path) {
            return Err(Error::Missing(path.to_owned()));
        }
        let mut ledger = Self::connect(path).await?;
        guard::check_owner(&ledger.read, path).await?;
        guard::check_schema(&ledger.read).await?;
        ledger.secret = guard::read_stamp(&ledger.read, instance).await?;
        Ok(ledger)
    }

    async fn connect(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("trusted_schema", "OFF");
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options.clone())
        };
        let open = |source: sqlx::Error| {
            // SQLITE_CORRUPT and SQLITE_NOTADB.
            let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if matches!(code.as_deref(), Some("11" | "26")) {
                return Error::Damaged { path: path.to_owned(), damage: source.to_string() };
            }
            Error::Open { path: path.to_owned(), source: source.into() }
        };
        let write = pool(1).await.map_err(open)?;
        let read = pool(4).await.map_err(open)?;
        let owner = uuid::Uuid::new_v4().to_string();
        Ok(Self { write, read, secret: String::new(), owner, lock: None })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await.doing("begin a transaction")
    }

    /// Whether this is the ledger's daemon: the one that may claim deliveries.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.lock.is_some()
    }

    /// Closes the connections, so that the last one folds the write-ahead log into the file.
    pub async fn close(self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// The Message-ID of a mail: a keyed hash that nobody can guess and that a restored ledger makes again.
    fn message_id(&self, parts: &[&str], domain: &str) -> String {
        let mut digest = String::new();
        // A key of any length is accepted, so there is always a digest.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) {
            for part in parts {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part.as_bytes());
            }
            digest = hex(&mac.finalize().into_bytes()[..16]);
        }
        format!("{digest}@{domain}")
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}
