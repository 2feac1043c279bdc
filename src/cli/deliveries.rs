//! `deliveries`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use comfy_table::Table;
use jiff::tz::TimeZone;

use crate::domain::delivery::State;
use crate::domain::label::Label;
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
    let config = super::load_for_reading(files)?;
    let ledger = super::join_ledger(&config).await?;
    let since = args.filter.since()?;
    let Filter { invoice, profile, json, .. } = args.filter.clone();
    let filter = DeliveryFilter { state: args.state, invoice, profile, since };
    let rows = ledger.deliveries(&filter).await?;
    if rows.is_empty() {
        args.filter.tell_nothing(&config);
    }
    if json {
        for row in &rows {
            super::put(serde_json::json!(row))?;
        }
    } else {
        super::put(listing(&rows, &config.time_zone))?;
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

/// For people: times as the configured zone has them.
fn listing(rows: &[DeliveryRow], zone: &TimeZone) -> Table {
    let mut table =
        table(["id", "profile", "invoice", "recipient", "state", "attempts", "since or due", "reply or reason"]);
    for row in rows {
        let says = if row.state == "accepted" { row.reply.clone() } else { row.reason.clone().or(row.reply.clone()) };
        table.add_row([
            row.id.clone(),
            cell(row.profile.clone()),
            cell(row.invoice.as_deref().map(Label::new)),
            row.recipient.clone(),
            row.state.clone(),
            row.attempts.to_string(),
            cell(
                row.finished_at
                    .or(row.due_at)
                    .map(|at| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M %Z")),
            ),
            cell(says),
        ]);
    }
    table
}
