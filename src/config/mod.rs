//! What the operator may say: sections, their sources, and every problem at once.
//!
//! The values here are already parsed: addresses, days, durations and scopes are domain types. This module reads
//! files and environment variables; it knows nothing of Azure's API, SMTP or the ledger.

mod azure;
mod layers;
mod load;
mod parse;
mod people;
mod problems;
mod raw;
mod secret;
mod show;
mod smtp;
mod structure;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;

use crate::domain::billing::Profile;
use crate::domain::label::Label;
use crate::domain::recipients::{Address, List};
use crate::domain::retry::RetryPolicy;

pub use load::{load, load_for_reading};
pub use problems::{Problem, Problems};
pub use raw::schema;
pub use secret::{Secret, SecretError};
pub use show::show;

/// The whole effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Stamped into the ledger; a mismatch refuses to start.
    pub instance: String,
    /// The zone in which times are shown; the calendar counts UTC days.
    pub time_zone: TimeZone,
    /// `[azure]`
    pub azure: Azure,
    /// `[[profiles]]`, at least one, names unique.
    pub profiles: Vec<Profile>,
    /// `[lists]`, in alphabetical order.
    pub lists: Vec<List>,
    /// `[smtp]`
    pub smtp: Smtp,
    /// `[delivery]`: waits, and when to give up.
    pub delivery: RetryPolicy,
    /// `[delivery] max_backfill`: an unknown invoice dated more than this before the profile's last complete look is held.
    pub max_backfill: Duration,
    /// `[ledger] url`, a local SQLite file.
    pub ledger: PathBuf,
    /// `[archive] url`, a local folder.
    pub archive: PathBuf,
    /// `[log]`
    pub log: Log,
}

/// `[azure]`: where the Billing API is and how to sign in.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Resource Manager's address, without a trailing path.
    pub management_endpoint: Url,
    /// Where documents may be fetched from: host names, `*.` for any name below, `host:port` on loopback only.
    pub document_hosts: Vec<String>,
    /// How to sign in.
    pub credential: Credential,
}

/// `[azure] credential`.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A fixed token, for a loopback `management_endpoint` only.
    StaticToken {
        /// The bearer token.
        token: Secret,
    },
    /// An app registration's secret.
    ClientSecret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// A federated token that the platform projects into a file (AKS and others).
    WorkloadIdentity {
        /// The directory; default `AZURE_TENANT_ID`.
        tenant_id: Option<String>,
        /// The application; default `AZURE_CLIENT_ID`.
        client_id: Option<String>,
        /// The token's file; default `AZURE_FEDERATED_TOKEN_FILE`.
        token_file: Option<PathBuf>,
    },
    /// The machine's own identity.
    ManagedIdentity {
        /// A user-assigned identity; default the system-assigned one.
        client_id: Option<String>,
    },
    /// The account that `az login` signed in.
    AzureCli {
        /// The directory; default that of the login.
        tenant_id: Option<String>,
    },
}

/// `[smtp]`: the relay and the sender.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// The relay's host name or address.
    pub host: String,
    /// The relay's port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name in `From:`.
    pub from_name: Option<Label>,
    /// The address in `From:`; its domain is that of the Message-IDs.
    pub from: Address,
    /// `Reply-To:`
    pub reply_to: Option<Address>,
    /// The envelope sender; default `from`.
    pub return_path: Address,
    /// How to sign in.
    pub auth: Auth,
    /// The most connections at a time, 1 or more.
    pub max_connections: usize,
    /// The most mails a minute, 1 or more.
    pub per_minute: u32,
}

/// `[smtp] tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// STARTTLS, required, never opportunistic.
    Starttls,
    /// Plain text, for a relay on loopback only.
    None,
}

/// `[smtp] auth`.
#[derive(Clone, Debug)]
pub enum Auth {
    /// No sign-in.
    None,
    /// AUTH PLAIN or LOGIN.
    Password {
        /// The account.
        username: String,
        /// Its password.
        password: Secret,
    },
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines are written.
    pub format: LogFormat,
}

/// `[log] format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `pretty` on a terminal, `json` elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One object a line.
    Json,
}
