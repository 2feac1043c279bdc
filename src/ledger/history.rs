//! Read models: what the verbs and pages show.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use crate::domain::document::{DocumentKind, Sha256Hash};
use crate::domain::invoice::Invoice;
use crate::domain::label::Label;
use crate::domain::mail::{ArchivedDocument, Mail};
use crate::domain::recipients::MemberKind;

use super::error::Doing as _;
use super::{Error, Ledger, at};

/// Which deliveries to list; an empty filter lists all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<String>,
    /// Of this invoice: number, `account/number` or id.
    pub invoice: Option<String>,
    /// Of this profile.
    pub profile: Option<String>,
    /// Recorded at or after this instant.
    pub since: Option<Timestamp>,
}

/// Which invoices to list; an empty filter lists all.
#[derive(Clone, Debug, Default)]
pub struct InvoiceFilter {
    /// This one: number, `account/number` or id.
    pub invoice: Option<String>,
    /// Of this profile.
    pub profile: Option<String>,
    /// First seen at or after this instant.
    pub since: Option<Timestamp>,
}

/// One delivery, as `deliveries` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// The delivery's id.
    pub id: String,
    /// `invoice`, `usage`, `statement`, `alert`.
    pub mail_kind: String,
    /// The profile's alias.
    pub profile: Option<String>,
    /// The billing account's name.
    pub billing_account: Option<String>,
    /// The invoice's number.
    pub invoice: Option<String>,
    /// The keys of the documents it carries.
    pub documents: Vec<String>,
    /// The recipient, in full: this is for the operator.
    pub recipient: String,
    /// The list that names the recipient.
    pub list: Option<String>,
    /// `human` or `erp`.
    pub member_kind: String,
    /// 1, or more for an asked-for copy.
    pub generation: i64,
    /// Where it stands.
    pub state: String,
    /// Why, where a person would ask.
    pub reason: Option<String>,
    /// How many attempts there were.
    pub attempts: i64,
    /// When it was recorded.
    pub queued_at: Timestamp,
    /// When it is due; `null` once it is final.
    pub due_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// The Message-ID without angle brackets.
    pub message_id: String,
    /// The last reply of the relay.
    pub reply: Option<String>,
}

/// One invoice, as `invoices` shows it.
#[derive(Clone, Debug)]
pub struct InvoiceRow {
    /// The invoice's id in the ledger.
    pub id: String,
    /// The profile that listed it first.
    pub profile: String,
    /// The invoice as last listed.
    pub invoice: Invoice,
    /// Its recorded documents.
    pub documents: Vec<StoredDocument>,
    /// How many deliveries are in each state.
    pub deliveries: BTreeMap<String, i64>,
    /// Why a document of it is not here yet.
    pub problem: Option<String>,
}

/// A recorded document, as `invoices` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct StoredDocument {
    /// Its key within the invoice.
    pub name: String,
    /// What it is, as Azure names it.
    pub kind: String,
    /// The first number printed on it.
    pub number: Option<String>,
    /// Its hash; `null` if it was recorded but not fetched.
    pub sha256: Option<String>,
    /// Its size; `null` if it was recorded but not fetched.
    pub bytes: Option<i64>,
}

#[derive(FromRow)]
struct MailRow {
    message_id: String,
    recipient: String,
    name: Option<String>,
    member_kind: String,
    list: Option<String>,
    profile: Option<String>,
    generation: i64,
    facts: Option<String>,
    follows: Option<String>,
}

#[derive(FromRow)]
struct DocumentRow {
    key: String,
    kind: String,
    numbers: String,
    sha256: Option<String>,
    bytes: Option<i64>,
}

impl DocumentRow {
    fn archived(self) -> Option<ArchivedDocument> {
        Some(ArchivedDocument {
            key: self.key,
            kind: DocumentKind::from_azure(&self.kind),
            numbers: serde_json::from_str(&self.numbers).ok()?,
            sha256: Sha256Hash::from_hex(&self.sha256?)?,
            bytes: u64::try_from(self.bytes?).ok()?,
        })
    }
}

#[derive(FromRow)]
struct ListedDelivery {
    id: String,
    mail_kind: String,
    profile: Option<String>,
    billing_account: Option<String>,
    invoice: Option<String>,
    documents: String,
    recipient: String,
    list: Option<String>,
    member_kind: String,
    generation: i64,
    state: String,
    reason: Option<String>,
    attempts: i64,
    queued_at: i64,
    due_at: i64,
    finished_at: Option<i64>,
    message_id: String,
    reply: Option<String>,
}

#[derive(FromRow)]
struct ListedInvoice {
    id: String,
    profile: String,
    facts: String,
    documents: String,
    deliveries: String,
    problem: Option<String>,
}

const DELIVERIES: &str = "SELECT d.id, d.mail_kind, d.profile, i.billing_account, i.name AS invoice,
    (SELECT json_group_array(document ORDER BY position) FROM delivery_documents WHERE delivery_id = d.id) AS documents,
    d.recipient, d.list, d.member_kind, d.generation, d.state, d.reason,
    (SELECT count(*) FROM attempts WHERE delivery_id = d.id) AS attempts,
    d.queued_at, d.due_at, d.finished_at, d.message_id, d.reply
  FROM deliveries d LEFT JOIN invoices i ON i.id = d.invoice_id WHERE true";

const INVOICES: &str = "SELECT i.id, i.profile, i.facts, i.problem,
    (SELECT json_group_array(json_object('name', key, 'kind', kind, 'numbers', json(numbers), 'sha256', sha256,
       'bytes', bytes) ORDER BY position) FROM documents WHERE invoice_id = i.id) AS documents,
    (SELECT json_group_object(state, n) FROM
       (SELECT state, count(*) AS n FROM deliveries WHERE invoice_id = i.id GROUP BY state)) AS deliveries
  FROM invoices i WHERE true";

const MAIL: &str = "SELECT d.message_id, d.recipient, d.name, d.member_kind, d.list, d.profile, d.generation, i.facts,
    (SELECT e.message_id FROM deliveries e WHERE e.invoice_id = d.invoice_id AND e.recipient = d.recipient
       AND e.seq < d.seq AND e.state = 'accepted' ORDER BY e.seq DESC LIMIT 1) AS follows
  FROM deliveries d LEFT JOIN invoices i ON i.id = d.invoice_id WHERE d.id = $1";

/// Adds the condition that `named` is an invoice's id, its number or `account/number`.
fn push_invoice(query: &mut QueryBuilder<Sqlite>, named: &str) {
    query.push(" AND (i.id = ").push_bind(named.to_owned());
    query.push(" OR i.name = ").push_bind(named.to_owned()).push(" COLLATE NOCASE");
    query.push(" OR i.billing_account || '/' || i.name = ").push_bind(named.to_owned()).push(" COLLATE NOCASE)");
}

impl Ledger {
    /// The deliveries that match, in the order of recording.
    ///
    /// # Errors
    /// If the database fails or a row cannot be read.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(DELIVERIES);
        if let Some(state) = &filter.state {
            query.push(" AND d.state = ").push_bind(state.clone());
        }
        if let Some(profile) = &filter.profile {
            query.push(" AND d.profile = ").push_bind(profile.clone());
        }
        if let Some(since) = filter.since {
            query.push(" AND d.queued_at >= ").push_bind(since.as_millisecond());
        }
        if let Some(invoice) = &filter.invoice {
            push_invoice(&mut query, invoice);
        }
        query.push(" ORDER BY d.seq");
        let rows: Vec<ListedDelivery> = query.build_query_as().fetch_all(&self.read).await.doing("list deliveries")?;
        rows.into_iter().map(DeliveryRow::try_from).collect()
    }

    /// The invoices that match, oldest first.
    ///
    /// # Errors
    /// If the database fails or a row cannot be read.
    pub async fn invoices(&self, filter: &InvoiceFilter) -> Result<Vec<InvoiceRow>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(INVOICES);
        if let Some(profile) = &filter.profile {
            query.push(" AND i.profile = ").push_bind(profile.clone());
        }
        if let Some(since) = filter.since {
            query.push(" AND i.first_seen_at >= ").push_bind(since.as_millisecond());
        }
        if let Some(invoice) = &filter.invoice {
            push_invoice(&mut query, invoice);
        }
        query.push(" ORDER BY i.invoice_date, i.seq");
        let rows: Vec<ListedInvoice> = query.build_query_as().fetch_all(&self.read).await.doing("list invoices")?;
        rows.into_iter().map(InvoiceRow::try_from).collect()
    }

    /// How many deliveries are in each state.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn counts(&self) -> Result<BTreeMap<String, i64>, Error> {
        let query = "SELECT state, count(*) FROM deliveries GROUP BY state";
        let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&self.read).await.doing("count deliveries")?;
        Ok(rows.into_iter().collect())
    }

    /// Whether a delivery is due at `now`, or was left in `sending` by somebody else.
    ///
    /// # Errors
    /// Only if the database fails.
    pub async fn is_any_due(&self, now: Timestamp) -> Result<bool, Error> {
        let query = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN ('pending', 'in_doubt') AND due_at <= $1)
            OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'sending'
               AND (owner <> $2 OR lease_until < CAST(unixepoch('subsec') * 1000 AS INTEGER)))";
        let query = sqlx::query_scalar(query).bind(now.as_millisecond()).bind(&self.owner);
        query.fetch_one(&self.read).await.doing("look for due deliveries")
    }

    /// What the mail of a delivery says.
    ///
    /// # Errors
    /// If the database fails or a row cannot be read.
    pub async fn mail(&self, delivery: &str) -> Result<Mail, Error> {
        let doing = "read a mail";
        let row: MailRow = sqlx::query_as(MAIL).bind(delivery).fetch_one(&self.read).await.doing(doing)?;
        let documents: Vec<DocumentRow> = sqlx::query_as(
            "SELECT o.key, o.kind, o.numbers, o.sha256, o.bytes FROM delivery_documents dd
             JOIN deliveries d ON d.id = dd.delivery_id
             JOIN documents o ON o.invoice_id = d.invoice_id AND o.key = dd.document
             WHERE dd.delivery_id = $1 ORDER BY dd.position",
        )
        .bind(delivery)
        .fetch_all(&self.read)
        .await
        .doing(doing)?;
        let unreadable = |what: &str| Error::Unreadable { what: format!("{what} of delivery {delivery}") };
        let documents: Option<Vec<_>> = documents.into_iter().map(DocumentRow::archived).collect();
        let facts = row.facts.ok_or_else(|| unreadable("invoice"))?;
        Ok(Mail {
            delivery: delivery.to_owned(),
            message_id: row.message_id,
            to: row.recipient.parse().map_err(|_| unreadable("recipient"))?,
            name: row.name.as_deref().and_then(Label::non_empty),
            member_kind: if row.member_kind == "erp" { MemberKind::Erp } else { MemberKind::Human },
            list: row.list.unwrap_or_default(),
            profile: row.profile.unwrap_or_default(),
            generation: u32::try_from(row.generation).unwrap_or(1),
            invoice: serde_json::from_str(&facts).map_err(|_| unreadable("invoice"))?,
            documents: documents.ok_or_else(|| unreadable("documents"))?,
            follows: row.follows,
        })
    }
}

impl TryFrom<ListedDelivery> for DeliveryRow {
    type Error = Error;

    fn try_from(row: ListedDelivery) -> Result<Self, Error> {
        let unreadable = |_| Error::Unreadable { what: format!("documents of delivery {}", row.id) };
        Ok(Self {
            documents: serde_json::from_str(&row.documents).map_err(unreadable)?,
            due_at: row.finished_at.is_none().then(|| at(row.due_at)),
            finished_at: row.finished_at.map(at),
            queued_at: at(row.queued_at),
            id: row.id,
            mail_kind: row.mail_kind,
            profile: row.profile,
            billing_account: row.billing_account,
            invoice: row.invoice,
            recipient: row.recipient,
            list: row.list,
            member_kind: row.member_kind,
            generation: row.generation,
            state: row.state,
            reason: row.reason,
            attempts: row.attempts,
            message_id: row.message_id,
            reply: row.reply,
        })
    }
}

impl TryFrom<ListedInvoice> for InvoiceRow {
    type Error = Error;

    fn try_from(row: ListedInvoice) -> Result<Self, Error> {
        #[derive(serde::Deserialize)]
        struct Listed {
            name: String,
            kind: String,
            numbers: Vec<String>,
            sha256: Option<String>,
            bytes: Option<i64>,
        }
        let unreadable = |what: &str| Error::Unreadable { what: format!("{what} of invoice {}", row.id) };
        let documents: Vec<Listed> = serde_json::from_str(&row.documents).map_err(|_| unreadable("documents"))?;
        let stored = |listed: Listed| StoredDocument {
            name: listed.name,
            kind: listed.kind,
            number: listed.numbers.into_iter().next(),
            sha256: listed.sha256,
            bytes: listed.bytes,
        };
        Ok(Self {
            invoice: serde_json::from_str(&row.facts).map_err(|_| unreadable("facts"))?,
            documents: documents.into_iter().map(stored).collect(),
            deliveries: serde_json::from_str(&row.deliveries).map_err(|_| unreadable("deliveries"))?,
            id: row.id,
            profile: row.profile,
            problem: row.problem,
        })
    }
}
