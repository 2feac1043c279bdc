//! What keeps the ledger whole: one daemon, a sound file, settings that last, one instance.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sqlx::SqlitePool;

use crate::domain::document::hex;

use super::error::Doing as _;
use super::{Error, Ledger, MIGRATIONS};

/// The first library version without the WAL-reset bug that can corrupt a file under two writers (sqlite.org, 3.51.3).
const OLDEST_LIBRARY: (u32, u32, u32) = (3, 51, 3);

/// Makes the ledger's folder and file if they are not there, for nobody else to read: they hold addresses.
pub(super) fn make_private(ledger: &Path) -> std::io::Result<()> {
    if let Some(folder) = ledger.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(ledger)?;
    Ok(())
}

/// Whether there is no ledger yet; an empty file is one that was never begun.
pub(super) fn is_new(ledger: &Path) -> bool {
    std::fs::metadata(ledger).is_ok_and(|file| file.len() == 0) || !ledger.exists()
}

/// Refuses somebody else's database.
pub(super) async fn check_owner(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    let query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
                 AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
    let others: i64 = sqlx::query_scalar(query).fetch_one(pool).await.doing("read its tables")?;
    if others == 0 { Ok(()) } else { Err(Error::Foreign(path.to_owned())) }
}

/// Takes the daemon's lock: an advisory lock on a file beside the ledger, free again when the process ends.
pub(super) fn lock(ledger: &Path) -> Result<File, Error> {
    let path = PathBuf::from(format!("{}.lock", ledger.display()));
    let open = |source: std::io::Error| Error::Open { path: path.clone(), source: source.into() };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(ledger.to_owned())),
        Err(TryLockError::Error(source)) => Err(open(source)),
    }
}

/// Looks for damage.
pub(super) async fn check_file(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    let damaged = |damage: String| Error::Damaged { path: path.to_owned(), damage };
    let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(pool)
        .await
        .map_err(|error| damaged(error.to_string()))?;
    if answer == "ok" { Ok(()) } else { Err(damaged(answer)) }
}

/// Reads back what durability hangs on.
pub(super) async fn check_settings(pool: &SqlitePool) -> Result<(), Error> {
    let doing = "read its settings";
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.doing(doing)?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await.doing(doing)?;
    let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(pool).await.doing(doing)?;
    let library: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await.doing(doing)?;
    let mut version = library.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || version.next().unwrap_or(0);
    let new_enough = (next(), next(), next()) >= OLDEST_LIBRARY;
    for (name, wanted, found, holds) in [
        ("journal_mode", "wal", journal.clone(), journal == "wal"),
        ("synchronous", "2 (full)", synchronous.to_string(), synchronous == 2),
        ("foreign_keys", "1", foreign_keys.to_string(), foreign_keys == 1),
        ("sqlite_version", "3.51.3 or newer", library.clone(), new_enough),
    ] {
        if !holds {
            return Err(Error::Setting { name, wanted, found });
        }
    }
    Ok(())
}

/// Compares the newest migration applied with the newest that this program knows.
pub(super) async fn check_schema(pool: &SqlitePool) -> Result<(), Error> {
    let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool)
        .await
        .map_err(|_| Error::OtherSchema)?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    if applied == known { Ok(()) } else { Err(Error::OtherSchema) }
}

/// Stamps a new ledger with its instance and its secret; an old one keeps its own.
pub(super) async fn stamp(ledger: &Ledger, instance: &str) -> Result<(), Error> {
    let doing = "write its stamp";
    let secret = hex(&rand::random::<[u8; 32]>());
    let mut tx = ledger.begin().await?;
    for (key, value) in [("instance", instance), ("secret", &secret)] {
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(key)
            .bind(value)
            .execute(&mut *tx)
            .await
            .doing(doing)?;
    }
    tx.commit().await.doing(doing)
}

/// Compares the ledger's instance with the configuration's; gives the ledger's secret.
pub(super) async fn read_stamp(pool: &SqlitePool, instance: &str) -> Result<String, Error> {
    let read =
        |key: &'static str| sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key).fetch_one(pool);
    let stamped: String = read("instance").await.doing("read its stamp")?;
    if stamped != instance {
        return Err(Error::OtherInstance { ledger: stamped, config: instance.to_owned() });
    }
    read("secret").await.doing("read its stamp")
}
