//! What the simulated Azure knows: billing accounts, profiles, subscriptions and invoices.
//!
//! The model can be read from JSON. It knows nothing of HTTP; the wire's shapes are in [`super::azure`].

mod build;
mod spelling;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use build::{mca_account, monthly_invoice, mosp_account, tax_receipt};

use crate::domain::billing::Agreement;
use crate::domain::document::DocumentKind;

/// A billing account with everything under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingAccount {
    /// `GUID:GUID_2019-05-31` (MCA) or a bare GUID (MOSP).
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// The contract.
    #[serde(with = "spelling::agreement")]
    pub agreement: Agreement,
    /// The billing profiles (MCA).
    #[serde(default)]
    pub profiles: Vec<BillingProfile>,
    /// The subscriptions.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// The invoices, ordered by number as the list is (see [`BillingAccount::add`]).
    #[serde(default)]
    pub invoices: Vec<Invoice>,
}

/// A billing profile: one monthly invoice each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingProfile {
    /// `XXXX-XXXX-XXX-XXX`.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// The ISO 4217 code.
    pub currency: String,
    /// The day of the month on which the invoice is made.
    pub invoice_day: i8,
    /// Whether Microsoft itself mails the invoices.
    #[serde(default)]
    pub email_opt_in: bool,
    /// Whom Microsoft mails besides the role holders.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// The customer's purchase order number.
    #[serde(default)]
    pub purchase_order: Option<String>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Its GUID.
    pub id: String,
    /// The name for people.
    pub display_name: String,
    /// The billing profile that pays for it (MCA).
    #[serde(default)]
    pub profile: Option<String>,
}

/// An invoice, credit note or void note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// Its number: `G…` (MCA), `E…` (MOSP).
    pub name: String,
    /// The billing profile it is for (MCA).
    #[serde(default)]
    pub profile: Option<String>,
    /// The subscription it is for (MOSP), or through which it can be listed too (MCA).
    #[serde(default)]
    pub subscription: Option<String>,
    /// Invoice, credit note …
    #[serde(with = "spelling::kind")]
    pub kind: DocumentKind,
    /// `Due`, `Paid`, `Void` …
    pub status: String,
    /// `AzureServices`, `AzureMarketplace` …: given when listed by subscription.
    #[serde(default)]
    pub invoice_type: Option<String>,
    /// When it was issued.
    pub invoice_at: Timestamp,
    /// When it is to be paid.
    pub due_at: Timestamp,
    /// Start of the billing period.
    pub period_start: Timestamp,
    /// End of the billing period.
    pub period_end: Timestamp,
    /// The ISO 4217 code.
    pub currency: String,
    /// What is charged, before tax.
    pub lines: Vec<Line>,
    /// The tax on all lines together.
    #[serde(with = "rust_decimal::serde::str")]
    pub tax: Decimal,
    /// The customer's purchase order number.
    #[serde(default)]
    pub purchase_order: Option<String>,
    /// Whether it is a profile's monthly invoice (MCA).
    #[serde(default)]
    pub is_monthly: bool,
    /// On a credit note: the number of the invoice it credits.
    #[serde(default)]
    pub credit_for: Option<String>,
    /// Its documents; empty while no PDF is ready.
    #[serde(default)]
    pub documents: Vec<Document>,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What for.
    pub text: String,
    /// How much, before tax; negative on a credit note.
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
}

/// A PDF of an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The name that a download asks for.
    pub name: String,
    /// Invoice, tax receipt …
    #[serde(with = "spelling::kind")]
    pub kind: DocumentKind,
}

impl Invoice {
    /// The sum of the lines.
    #[must_use]
    pub fn sub_total(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// The sum with tax.
    #[must_use]
    pub fn total(&self) -> Decimal {
        self.sub_total() + self.tax
    }

    /// The document of this name.
    #[must_use]
    pub fn document(&self, name: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.name == name)
    }
}

impl BillingAccount {
    /// The invoice of this number.
    #[must_use]
    pub fn invoice(&self, name: &str) -> Option<&Invoice> {
        let at = self.invoices.binary_search_by(|invoice| invoice.name.as_str().cmp(name)).ok()?;
        self.invoices.get(at)
    }

    /// Adds an invoice at its place, or replaces the one of the same number.
    pub fn add(&mut self, invoice: Invoice) {
        match self.invoices.binary_search_by(|known| known.name.cmp(&invoice.name)) {
            Ok(at) => self.invoices[at] = invoice,
            Err(at) => self.invoices.insert(at, invoice),
        }
    }

    /// The billing profile of this name; ASCII case does not count.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&BillingProfile> {
        self.profiles.iter().find(|profile| profile.name.eq_ignore_ascii_case(name))
    }

    /// The subscription of this id; ASCII case does not count.
    #[must_use]
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.id.eq_ignore_ascii_case(id))
    }

    /// Puts the invoices into the list's order, after they were edited or read from a file.
    pub fn sort(&mut self) {
        self.invoices.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

#[cfg(test)]
mod tests;
