//! Recording what Azure listed: invoice, documents and one delivery per recipient in one transaction.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use crate::domain::document::{Document, Sha256Hash};
use crate::domain::invoice::Invoice;
use crate::domain::recipients::PlannedMail;

use super::error::Doing as _;
use super::{Error, Ledger};

/// The invoices of one billing account that the ledger holds, by number.
pub type Known = HashMap<String, KnownInvoice>;

/// An invoice that the ledger holds.
#[derive(Clone, Debug)]
pub struct KnownInvoice {
    /// The invoice's id in the ledger.
    pub id: String,
    /// The keys of its recorded documents.
    pub documents: HashSet<String>,
    /// Why a document of it is not here yet.
    pub problem: Option<String>,
    facts: String,
}

impl KnownInvoice {
    /// Whether the ledger already holds everything that `invoice` says.
    #[must_use]
    pub fn says(&self, invoice: &Invoice) -> bool {
        serde_json::to_string(invoice).is_ok_and(|facts| facts == self.facts)
    }
}

/// A document to record: fetched and archived, or only listed.
#[derive(Clone, Debug)]
pub struct FetchedDocument {
    /// The document as listed.
    pub document: Document,
    /// Hash and size in the archive; `None` if nobody is to be mailed, so that it was not fetched.
    pub archived: Option<(Sha256Hash, u64)>,
}

/// A mail to record.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// To whom, and what.
    pub mail: PlannedMail,
    /// Why it must wait for a person; `None`: it is due at once.
    pub held: Option<String>,
}

/// What one look found out about one invoice.
#[derive(Clone, Debug)]
pub struct Recording<'a> {
    /// The profile that lists it.
    pub profile: &'a str,
    /// The invoice as listed.
    pub invoice: &'a Invoice,
    /// The documents that the ledger does not hold.
    pub documents: Vec<FetchedDocument>,
    /// The mails they give.
    pub deliveries: Vec<NewDelivery>,
    /// Why a document could not be fetched.
    pub problem: Option<String>,
    /// The domain of new Message-IDs.
    pub message_id_domain: &'a str,
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    id: String,
    name: String,
    facts: String,
    problem: Option<String>,
}

impl Ledger {
    /// The invoices of `billing_account`.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn known(&self, billing_account: &str) -> Result<Known, Error> {
        let doing = "read the known invoices";
        let rows: Vec<KnownRow> =
            sqlx::query_as("SELECT id, name, facts, problem FROM invoices WHERE billing_account = $1")
                .bind(billing_account)
                .fetch_all(&self.read)
                .await
                .doing(doing)?;
        let documents: Vec<(String, String)> = sqlx::query_as(
            "SELECT invoice_id, key FROM documents JOIN invoices ON invoices.id = invoice_id WHERE billing_account = $1",
        )
        .bind(billing_account)
        .fetch_all(&self.read)
        .await
        .doing(doing)?;
        let mut keys: HashMap<String, HashSet<String>> = HashMap::new();
        for (invoice, key) in documents {
            keys.entry(invoice).or_default().insert(key);
        }
        let known = |row: KnownRow| {
            let documents = keys.remove(&row.id).unwrap_or_default();
            (row.name, KnownInvoice { id: row.id, documents, problem: row.problem, facts: row.facts })
        };
        Ok(rows.into_iter().map(known).collect())
    }

    /// Records what a look found out about one invoice, in one transaction; gives the number of new deliveries.
    ///
    /// Recording the same again changes nothing: a document goes to a recipient once.
    ///
    /// # Errors
    /// Only if the database fails; then nothing was recorded.
    pub async fn record(&self, recording: &Recording<'_>, now: Timestamp) -> Result<usize, Error> {
        let doing = "record an invoice";
        let mut tx = self.begin().await?;
        let invoice_id = upsert_invoice(&mut tx, recording, now).await?;
        for (position, fetched) in recording.documents.iter().enumerate() {
            let Document { key, kind, numbers, .. } = &fetched.document;
            let numbers = serde_json::to_string(numbers).unwrap_or_else(|_| "[]".into());
            sqlx::query(
                "INSERT INTO documents (invoice_id, key, position, kind, numbers, sha256, bytes, recorded_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            )
            .bind(&invoice_id)
            .bind(key)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(kind.as_azure())
            .bind(numbers)
            .bind(fetched.archived.map(|(sha256, _)| sha256.to_string()))
            .bind(fetched.archived.map(|(_, bytes)| i64::try_from(bytes).unwrap_or(i64::MAX)))
            .bind(now.as_millisecond())
            .execute(&mut *tx)
            .await
            .doing(doing)?;
        }
        let mut created = 0;
        for delivery in &recording.deliveries {
            created += usize::from(self.insert_delivery(&mut tx, recording, &invoice_id, delivery, now).await?);
        }
        tx.commit().await.doing(doing)?;
        Ok(created)
    }

    async fn insert_delivery(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        recording: &Recording<'_>,
        invoice_id: &str,
        delivery: &NewDelivery,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let doing = "record a delivery";
        let Invoice { billing_account, name: number, .. } = recording.invoice;
        let PlannedMail { list, member, .. } = &delivery.mail;
        let owed = still_owed(tx, recording.invoice, &delivery.mail).await?;
        if owed.is_empty() {
            return Ok(false);
        }
        let id = Uuid::new_v4().to_string();
        let documents = owed.join("\n");
        let address = member.address.as_str();
        let parts = [billing_account, number, &documents, address, "1"];
        let message_id = self.message_id(&parts, recording.message_id_domain);
        sqlx::query(
            "INSERT INTO deliveries (id, mail_kind, invoice_id, profile, list, recipient, name, member_kind, generation,
                                     message_id, state, reason, queued_at, due_at)
             VALUES ($1, 'invoice', $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $11)",
        )
        .bind(&id)
        .bind(invoice_id)
        .bind(recording.profile)
        .bind(list)
        .bind(address)
        .bind(member.name.as_ref().map(|name| name.as_str().to_owned()))
        .bind(member.kind.as_str())
        .bind(message_id)
        .bind(if delivery.held.is_some() { "held" } else { "pending" })
        .bind(&delivery.held)
        .bind(now.as_millisecond())
        .execute(&mut **tx)
        .await
        .doing(doing)?;
        for (position, document) in (0_i64..).zip(owed) {
            sqlx::query("INSERT INTO delivery_documents VALUES ($1, $2, $3, $4, $5, $6, 1)")
                .bind(&id)
                .bind(position)
                .bind(billing_account)
                .bind(number)
                .bind(document)
                .bind(address)
                .execute(&mut **tx)
                .await
                .doing(doing)?;
        }
        Ok(true)
    }
}

async fn upsert_invoice(
    tx: &mut Transaction<'static, Sqlite>,
    recording: &Recording<'_>,
    now: Timestamp,
) -> Result<String, Error> {
    let invoice = recording.invoice;
    let facts = serde_json::to_string(invoice).map_err(|_| Error::Unreadable { what: "invoice".into() })?;
    sqlx::query_scalar(
        "INSERT INTO invoices (id, billing_account, name, profile, document_type, status, invoice_date, facts, problem,
                               first_seen_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         ON CONFLICT (billing_account, name) DO UPDATE SET document_type = excluded.document_type,
           status = excluded.status, invoice_date = excluded.invoice_date, facts = excluded.facts,
           problem = excluded.problem, updated_at = excluded.updated_at
         RETURNING id",
    )
    .bind(Uuid::new_v4().to_string())
    .bind(&invoice.billing_account)
    .bind(&invoice.name)
    .bind(recording.profile)
    .bind(invoice.document_type.as_azure())
    .bind(invoice.status.as_ref().map(|status| status.as_str().to_owned()))
    .bind(invoice.invoice_date.map(Timestamp::as_millisecond))
    .bind(facts)
    .bind(&recording.problem)
    .bind(now.as_millisecond())
    .fetch_one(&mut **tx)
    .await
    .doing("record an invoice")
}

/// The documents of a planned mail that its recipient was not mailed before.
async fn still_owed<'a>(
    tx: &mut Transaction<'static, Sqlite>,
    invoice: &Invoice,
    mail: &'a PlannedMail,
) -> Result<Vec<&'a str>, Error> {
    let mut owed = Vec::new();
    for document in &mail.documents {
        let mailed: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM delivery_documents WHERE billing_account = $1 AND invoice = $2
                            AND document = $3 AND recipient = $4 AND generation = 1)",
        )
        .bind(&invoice.billing_account)
        .bind(&invoice.name)
        .bind(document)
        .bind(mail.member.address.as_str())
        .fetch_one(&mut **tx)
        .await
        .doing("look for an earlier delivery")?;
        if !mailed && !owed.contains(&document.as_str()) {
            owed.push(document.as_str());
        }
    }
    Ok(owed)
}
