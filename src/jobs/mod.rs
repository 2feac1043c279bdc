//! The use cases. Each is idempotent, takes no input but what the configuration and the ledger say, and does not
//! retry inside: the next activation is the retry.

mod deliver;
mod error;
mod fetch;
mod pass;

use crate::archive::Archive;
use crate::azure::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::mail::relay::Relay;
use crate::mail::template::Templates;

pub use deliver::{Delivered, deliver};
pub use error::Error;
pub use fetch::{Fetched, fetch};
pub use pass::{Summary, pass};

/// The ready-made parts that jobs work with.
#[derive(Debug)]
pub struct Environment {
    /// What the operator said.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// What is owed.
    pub ledger: Ledger,
    /// The documents.
    pub archive: Archive,
    /// Azure's Billing API.
    pub azure: Client,
    /// The relay.
    pub relay: Relay,
    /// The texts.
    pub templates: Templates,
}
