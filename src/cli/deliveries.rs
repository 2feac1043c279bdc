//! `deliveries`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use comfy_table::Table;

use crate::domain::delivery::State;
use crate::ledger::{DeliveryFilter, DeliveryRow};

use super::filter::Filter;
use super::table::{cell, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

pub(super) async fn run(files: &[PathBuf], args: Args) -> anyhow::Result<ExitCode> {
    let config = super::load(files)?;
    let ledger = super::join_ledger(&config).await?;
    let since = args.filter.since()?;
    let Filter { invoice, profile, json, .. } = args.filter;
    let filter = DeliveryFilter { state: args.state, invoice, profile, since };
    let rows = ledger.deliveries(&filter).await?;
    if json {
        for row in &rows {
            super::put(serde_json::json!(row))?;
        }
    } else {
        super::put(listing(&rows))?;
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

fn listing(rows: &[DeliveryRow]) -> Table {
    let mut table = table(["id", "profile", "invoice", "recipient", "state", "attempts", "due", "reply or reason"]);
    for row in rows {
        let says = if row.state == "accepted" { row.reply.clone() } else { row.reason.clone().or(row.reply.clone()) };
        table.add_row([
            row.id.clone(),
            cell(row.profile.clone()),
            cell(row.invoice.clone()),
            row.recipient.clone(),
            row.state.clone(),
            row.attempts.to_string(),
            cell(row.due_at),
            cell(says),
        ]);
    }
    table
}
