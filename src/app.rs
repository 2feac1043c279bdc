//! The composition root: the only place that builds clients.

use anyhow::Context as _;

use crate::archive::Archive;
use crate::azure;
use crate::clock::Clock;
use crate::config::Config;
use crate::jobs::Environment;
use crate::ledger::Ledger;
use crate::mail::relay::{Deadlines, Relay};
use crate::mail::template::Templates;

/// Limits and deadlines, of which the defaults are meant for the real world and others for tests.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// Of Azure's API and the document hosts.
    pub azure: azure::Limits,
    /// Of the SMTP dialogue.
    pub smtp: Deadlines,
}

/// Opens everything that fetching and delivering takes, and the ledger as its daemon.
///
/// # Errors
/// If a part cannot be opened or set up.
pub async fn open(config: Config, clock: Clock, tuning: Tuning) -> anyhow::Result<Environment> {
    let azure = azure::Client::new(&config.azure, tuning.azure).context("cannot set up the client of Azure")?;
    let relay = Relay::new(&config.smtp, tuning.smtp)?;
    let templates = templates(&config)?;
    let archive = Archive::open(&config.archive)?;
    Ledger::check_not_lost(&config.ledger, !archive.is_empty()?)?;
    let ledger = Ledger::open(&config.ledger, &config.instance).await?;
    Ok(Environment { config, clock, ledger, archive, azure, relay, templates })
}

/// The texts, with whom a reader writes to.
///
/// # Errors
/// If a template has a syntax error.
pub fn templates(config: &Config) -> anyhow::Result<Templates> {
    let smtp = &config.smtp;
    Ok(Templates::new(smtp.reply_to.as_ref().unwrap_or(&smtp.from).as_str())?)
}
