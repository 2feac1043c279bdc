//! `preview`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::app;
use crate::archive::Archive;
use crate::clock::Clock;
use crate::ledger::{DeliveryFilter, DeliveryRow};
use crate::mail::compose::compose;
use crate::mail::freeze;

use super::Usage;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The invoice: number, `account/number` or id
    invoice: String,
    /// The recipient; default the one whose mail is next to go out, or went out last
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(files: &[PathBuf], args: Args) -> anyhow::Result<ExitCode> {
    let config = super::load_for_reading(files)?;
    let ledger = super::join_ledger(&config).await?;
    let archive = Archive::open(&config.archive)?;
    let filter = DeliveryFilter { invoice: Some(args.invoice.clone()), ..DeliveryFilter::default() };
    let delivery = chosen(&ledger.deliveries(&filter).await?, &args)?;
    let mail = ledger.mail(&delivery.id).await?;
    let mut attachments = Vec::new();
    for document in &mail.documents {
        attachments.push(archive.get(document.sha256).await?);
    }
    let is_open = delivery.finished_at.is_none();
    let frozen = match ledger.frozen(&delivery.id, is_open).await? {
        Some(frozen) => frozen,
        None => compose(&mail, &attachments, &config.smtp, &app::templates(&config)?, Clock::System.now())?,
    };
    let bytes = freeze::thaw(&frozen, &attachments)?;
    match &args.out {
        Some(path) => std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?,
        None => std::io::stdout().write_all(&bytes).context("cannot write to stdout")?,
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The delivery of the invoice that the command line means.
fn chosen(rows: &[DeliveryRow], args: &Args) -> Result<DeliveryRow, Usage> {
    let invoice = &args.invoice;
    let Some(first) = rows.first() else {
        return Err(Usage(format!(
            "no mail of an invoice `{invoice}` is on record: `invoice-mailer invoices` tells whether it is known; one dated before the first look, or that nobody is to get, is not mailed"
        )));
    };
    if rows.iter().any(|row| row.billing_account != first.billing_account) {
        return Err(Usage(format!("several billing accounts have an invoice `{invoice}`: name it as account/number")));
    }
    let is_meant = |row: &&DeliveryRow| args.to.as_ref().is_none_or(|to| row.recipient.eq_ignore_ascii_case(to));
    let next = rows.iter().filter(is_meant).find(|row| row.finished_at.is_none());
    let meant = next.or_else(|| rows.iter().rfind(is_meant));
    meant.cloned().ok_or_else(|| {
        let to = args.to.as_deref().unwrap_or_default();
        let mut recipients: Vec<&str> = rows.iter().map(|row| row.recipient.as_str()).collect();
        recipients.dedup();
        Usage(format!(
            "no mail of invoice `{invoice}` to `{to}` is on record; there is one to {}",
            recipients.join(", ")
        ))
    })
}
