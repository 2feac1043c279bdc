//! An invoice as Azure lists it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::document::{Document, DocumentKind};
use super::label::Label;
use super::money::Money;

/// One invoice, credit note or void note: a resource of `Microsoft.Billing` with its own number.
///
/// Everything but the account and the number may be missing: Azure marks every property as optional.
/// Extensible enumerations (`status`, `invoice_type` …) are kept as Azure wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The billing account's name: with `name`, the key of the invoice whatever scope listed it.
    pub billing_account: String,
    /// The invoice's number (`G123456789`).
    pub name: String,
    /// Azure's resource id as listed; the same invoice has another one under its subscription.
    pub azure_id: String,
    /// Invoice, credit note, void note …
    pub document_type: DocumentKind,
    /// `Due`, `OverDue`, `Paid`, `Void`, `Locked` …
    pub status: Option<Label>,
    /// MOSP: `AzureServices`, `AzureMarketplace`, `AzureSupport` …
    pub invoice_type: Option<Label>,
    /// When it was issued.
    pub invoice_date: Option<Timestamp>,
    /// When it is to be paid.
    pub due_date: Option<Timestamp>,
    /// Start of the billing period.
    pub period_start: Option<Timestamp>,
    /// End of the billing period.
    pub period_end: Option<Timestamp>,
    /// All amounts.
    pub amounts: Amounts,
    /// Whether it is a profile's monthly invoice (MCA).
    pub is_monthly: Option<bool>,
    /// The customer's purchase order number.
    pub purchase_order: Option<Label>,
    /// The billing profile's name: the last part of `billingProfileId` (MCA, MPA).
    pub billing_profile: Option<String>,
    /// The billing profile's display name.
    pub billing_profile_name: Option<Label>,
    /// The subscription's id (MOSP, or listed by subscription).
    pub subscription: Option<String>,
    /// The subscription's display name.
    pub subscription_name: Option<Label>,
    /// Its documents; empty while no PDF is ready.
    pub documents: Vec<Document>,
    /// What was paid.
    pub payments: Vec<Payment>,
    /// What failed to be paid.
    pub failed_payments: Vec<FailedPayment>,
    /// The invoice that this one replaces, and those before it, newest first.
    pub rebills: Vec<Rebill>,
    /// On a voided invoice: the id of the invoice billed afterwards.
    pub billed_document_id: Option<String>,
    /// On a credit note: the id of the invoice it credits.
    pub credit_for_document_id: Option<String>,
    /// `SubtotalLevel`, `InvoiceLevel` …
    pub special_taxation_type: Option<Label>,
    /// The refund asked for, if any.
    pub refund: Option<Refund>,
}

/// The amounts of an invoice. `amount_due` and `billed` come with every agreement, the others with MCA only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// What is still to be paid.
    pub due: Option<Money>,
    /// What was billed.
    pub billed: Option<Money>,
    /// The total with tax.
    pub total: Option<Money>,
    /// The total before tax.
    pub sub_total: Option<Money>,
    /// The tax.
    pub tax: Option<Money>,
    /// Credits; negative.
    pub credit: Option<Money>,
    /// The part paid by Azure prepayment.
    pub azure_prepayment_applied: Option<Money>,
    /// The part paid by free credit.
    pub free_azure_credit_applied: Option<Money>,
}

/// One payment of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How much.
    pub amount: Option<Money>,
    /// When.
    pub date: Option<Timestamp>,
    /// `Charged`, `credited` …
    pub payment_type: Option<Label>,
    /// `CreditCard`, `CheckWire` …
    pub method_family: Option<Label>,
    /// `visa` …
    pub method_type: Option<Label>,
}

/// One payment that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPayment {
    /// When.
    pub date: Option<Timestamp>,
    /// `BankDeclined`, `CardExpired` …
    pub reason: Option<Label>,
}

/// One step of a chain of corrections (`rebillDetails`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebill {
    /// The id of the older invoice.
    pub invoice_document_id: Option<String>,
    /// The id of the credit note that cancelled it.
    pub credit_note_document_id: Option<String>,
}

/// A refund (`refundDetails`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When it was granted.
    pub approved_at: Option<Timestamp>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
    /// How much was asked for.
    pub requested: Option<Money>,
    /// How much was paid.
    pub refunded: Option<Money>,
    /// The id of the invoice billed again.
    pub rebill_invoice_id: Option<String>,
    /// How many transactions it covers.
    pub transaction_count: Option<i64>,
    /// `Pending`, `Approved` …
    pub status: Option<Label>,
    /// The id of the refund operation.
    pub operation_id: Option<String>,
    /// Why.
    pub reason: Option<Label>,
}

impl Invoice {
    /// The number as a person reads it.
    #[must_use]
    pub fn number(&self) -> Label {
        Label::new(&self.name)
    }

    /// The amount a reader looks for first: what was billed (every agreement has it), else the total, else what is due.
    #[must_use]
    pub fn headline_amount(&self) -> Option<&Money> {
        let Amounts { total, billed, due, .. } = &self.amounts;
        billed.as_ref().or(total.as_ref()).or(due.as_ref())
    }

    /// The day of issue, UTC.
    #[must_use]
    pub fn issued_on(&self) -> Option<Date> {
        self.invoice_date.map(utc_day)
    }

    /// What the invoice is for, as a reader knows it: the subscription's or the profile's name.
    #[must_use]
    pub fn subject_name(&self) -> Option<&Label> {
        self.subscription_name.as_ref().or(self.billing_profile_name.as_ref())
    }
}

/// The UTC day of an instant: the only day the calendar counts.
#[must_use]
pub fn utc_day(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::UTC).date()
}
