//! `invoices`

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use serde_json::json;

use crate::domain::invoice::utc_day;
use crate::domain::money::Money;
use crate::ledger::{InvoiceFilter, InvoiceRow};

use super::filter::Filter;
use super::table::{cell, table};

pub(super) async fn run(files: &[PathBuf], args: Filter) -> anyhow::Result<ExitCode> {
    let config = super::load_for_reading(files)?;
    let ledger = super::join_ledger(&config).await?;
    let filter = InvoiceFilter { since: args.since()?, invoice: args.invoice.clone(), profile: args.profile.clone() };
    let rows = ledger.invoices(&filter).await?;
    if rows.is_empty() {
        args.tell_nothing(&config);
    }
    if args.json {
        for row in &rows {
            super::put(object(row))?;
        }
    } else {
        super::put(listing(&rows))?;
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

fn object(row: &InvoiceRow) -> serde_json::Value {
    let invoice = &row.invoice;
    let amount = invoice.headline_amount();
    json!({
        "id": row.id,
        "profile": row.profile,
        "billing_account": invoice.billing_account,
        "invoice": invoice.name,
        "document_type": invoice.document_type.as_azure(),
        "status": invoice.status,
        "invoice_date": invoice.invoice_date,
        "due_date": invoice.due_date,
        "period_start": invoice.period_start,
        "period_end": invoice.period_end,
        "amount": amount.map(Money::decimal),
        "currency": amount.map(|money| &money.currency),
        "purchase_order": invoice.purchase_order,
        "documents": row.documents,
        "deliveries": row.deliveries,
        "problem": row.problem,
    })
}

fn listing(rows: &[InvoiceRow]) -> Table {
    let mut table =
        table(["profile", "invoice", "type", "date", "due", "amount", "documents", "deliveries", "problem"]);
    for row in rows {
        let invoice = &row.invoice;
        let documents: Vec<&str> = row.documents.iter().map(|document| document.kind.as_str()).collect();
        let deliveries: Vec<String> = row.deliveries.iter().map(|(state, n)| format!("{state} {n}")).collect();
        table.add_row([
            row.profile.clone(),
            invoice.number().to_string(),
            invoice.document_type.words().to_owned(),
            cell(invoice.issued_on()),
            cell(invoice.due_date.map(utc_day)),
            cell(invoice.headline_amount()),
            documents.join(", "),
            if deliveries.is_empty() { "not mailed".to_owned() } else { deliveries.join(", ") },
            row.problem.clone().unwrap_or_default(),
        ]);
    }
    table
}
