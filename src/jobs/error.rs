//! Why a job could not do its work.

use std::time::Duration;

use crate::{archive, azure, ledger, report};

/// A failure of a job: which profile, and what failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Azure did not give what was asked for.
    #[error("profile `{profile}`")]
    Azure {
        /// The profile's alias.
        profile: String,
        /// What failed.
        source: azure::Error,
    },
    /// The ledger failed: nothing else can go on.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The archive failed: no document can be recorded.
    #[error(transparent)]
    Archive(#[from] archive::Error),
}

impl Error {
    /// The chain of causes, and what to do about it where that is known.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Azure { profile, source } => format!("profile `{profile}`: {}", told(source)),
            other => report::chain(other),
        }
    }

    /// How long Azure wants to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Azure { source, .. } => source.retry_after(),
            Self::Ledger(_) | Self::Archive(_) => None,
        }
    }

    /// Whether the same job may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Azure { source, .. } => source.is_transient(),
            Self::Ledger(error) => error.is_transient(),
            Self::Archive(_) => false,
        }
    }
}

/// What Azure answered, and what to do about it where that is known.
pub(super) fn told(error: &azure::Error) -> String {
    let chain = report::chain(error);
    error.hint().map_or_else(|| chain.clone(), |hint| format!("{chain}; {hint}"))
}
