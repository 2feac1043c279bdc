//! What can go wrong with the ledger, and what to do about it.

use std::path::PathBuf;

/// A failure of the ledger. The variants are operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no ledger where a verb looked for one.
    #[error("there is no ledger at `{}`: it is born with the first `once`, `run` or `demo`", .0.display())]
    Missing(PathBuf),
    /// There is none where documents were archived already.
    #[error(
        "there is no ledger at `{}`, but the archive holds documents: put the ledger back (is its volume mounted, is \
         ledger.url right?), since a new one would mail everything again; for a fresh start name another archive.url",
        .0.display()
    )]
    Lost(PathBuf),
    /// The file is something else.
    #[error("`{}` is not a ledger of invoice-mailer: name another file in ledger.url", .0.display())]
    Foreign(PathBuf),
    /// The file cannot be opened or created.
    #[error("cannot open the ledger `{}`: may this user read and write it and its folder?", path.display())]
    Open {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another daemon holds the ledger.
    #[error("the ledger `{}` is in use by another `run` or `once`: wait for it, or stop it first", .0.display())]
    InUse(PathBuf),
    /// The ledger belongs to another instance.
    #[error(
        "the ledger belongs to the instance `{ledger}`, the configuration says `{config}`: \
         a copied configuration needs a ledger of its own"
    )]
    OtherInstance {
        /// The name stamped into the ledger.
        ledger: String,
        /// The name in the configuration.
        config: String,
    },
    /// `quick_check` found damage.
    #[error("the ledger `{}` is damaged ({damage}): put back the newest backup, never delete it", path.display())]
    Damaged {
        /// The ledger's file.
        path: PathBuf,
        /// What SQLite said first.
        damage: String,
    },
    /// A durable setting did not take.
    #[error(
        "the ledger does not keep the setting {name} = {wanted} (it says {found}): is it on a network file system?"
    )]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What the library says it is.
        found: String,
    },
    /// The schema is of another version than this program's.
    #[error(
        "the ledger's schema is not this program's: run `once` or `run` of this version first, or use the newer program"
    )]
    OtherSchema,
    /// The lease on a delivery was lost: somebody else decides about it now.
    #[error("the lease on delivery {0} is lost")]
    LeaseLost(String),
    /// A row holds what this program cannot read.
    #[error("the ledger's {what} cannot be read: was it written by a newer version?")]
    Unreadable {
        /// Which value.
        what: String,
    },
    /// Any other failure of the database.
    #[error("the ledger cannot {doing}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: sqlx::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::InUse(_) | Self::LeaseLost(_))
    }
}

/// Names what was being done when the database failed.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Database { doing, source })
    }
}
