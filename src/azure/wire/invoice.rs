//! `Invoice` and what hangs on it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Amount, Resource, Time, last_segment, lenient};
use crate::domain::document::{Document, DocumentKind};
use crate::domain::invoice::{Amounts, FailedPayment, Invoice, Payment, Rebill, Refund};
use crate::domain::label::Label;
use jiff::Timestamp;

/// The most corrections of one invoice that are kept.
const MAX_REBILLS: usize = 32;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    documents: Option<Vec<DocumentShape>>,
    #[serde(deserialize_with = "lenient")]
    document_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    invoice_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    invoice_date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    due_date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    invoice_period_start_date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    invoice_period_end_date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    amount_due: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    billed_amount: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    total_amount: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    sub_total: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    tax_amount: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    credit_amount: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    azure_prepayment_applied: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    free_azure_credit_applied: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    is_monthly_invoice: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    purchase_order_number: Option<String>,
    #[serde(deserialize_with = "lenient")]
    billing_profile_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    billing_profile_display_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    subscription_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    subscription_display_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    payments: Option<Vec<PaymentShape>>,
    #[serde(deserialize_with = "lenient")]
    failed_payments: Option<Vec<FailedPaymentShape>>,
    rebill_details: Option<Box<RawValue>>,
    #[serde(deserialize_with = "lenient")]
    billed_document_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    credit_for_document_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    special_taxation_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    refund_details: Option<RefundShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentShape {
    name: Option<String>,
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    document_numbers: Option<Vec<String>>,
    url: Option<String>,
    external_url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    source: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PaymentShape {
    #[serde(deserialize_with = "lenient")]
    amount: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    payment_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    payment_method_family: Option<String>,
    #[serde(deserialize_with = "lenient")]
    payment_method_type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FailedPaymentShape {
    #[serde(deserialize_with = "lenient")]
    date: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    failed_payment_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RebillShape {
    #[serde(deserialize_with = "lenient")]
    invoice_document_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    credit_note_document_id: Option<String>,
    rebill_details: Option<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RefundShape {
    #[serde(deserialize_with = "lenient")]
    requested_on: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    approved_on: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    completed_on: Option<Time>,
    #[serde(deserialize_with = "lenient")]
    amount_requested: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    amount_refunded: Option<Amount>,
    #[serde(deserialize_with = "lenient")]
    rebill_invoice_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    transaction_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    refund_status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    refund_operation_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    refund_reason: Option<String>,
}

/// Reads one entry of a list.
///
/// # Errors
/// A sentence that says why the entry cannot be used.
pub(in crate::azure) fn invoice(entry: &RawValue, billing_account: &str) -> Result<Invoice, String> {
    let resource: Resource<Properties> = serde_json::from_str(entry.get()).map_err(|error| {
        let name = serde_json::from_str::<Resource<serde::de::IgnoredAny>>(entry.get()).ok();
        let name = name.and_then(|entry| entry.name).map_or("without a number".into(), |name| name);
        format!("The entry {} is not an invoice: {}.", Label::new(&name), Label::new(&error.to_string()))
    })?;
    let name = resource.name.filter(|name| !name.trim().is_empty());
    let azure_id = resource.id.unwrap_or_default();
    let name =
        name.ok_or_else(|| format!("An entry has no number (`name`); its id is `{}`.", Label::new(&azure_id)))?;
    let properties = resource.properties.unwrap_or_default();
    Ok(properties.into_invoice(billing_account.to_owned(), name, azure_id))
}

impl Properties {
    fn into_invoice(self, billing_account: String, name: String, azure_id: String) -> Invoice {
        Invoice {
            billing_account,
            name,
            azure_id,
            document_type: self.document_type.map_or(DocumentKind::Invoice, |kind| DocumentKind::from_azure(&kind)),
            status: label(self.status),
            invoice_type: label(self.invoice_type),
            invoice_date: time(self.invoice_date),
            due_date: time(self.due_date),
            period_start: time(self.invoice_period_start_date),
            period_end: time(self.invoice_period_end_date),
            amounts: Amounts {
                due: self.amount_due.and_then(Amount::money),
                billed: self.billed_amount.and_then(Amount::money),
                total: self.total_amount.and_then(Amount::money),
                sub_total: self.sub_total.and_then(Amount::money),
                tax: self.tax_amount.and_then(Amount::money),
                credit: self.credit_amount.and_then(Amount::money),
                azure_prepayment_applied: self.azure_prepayment_applied.and_then(Amount::money),
                free_azure_credit_applied: self.free_azure_credit_applied.and_then(Amount::money),
            },
            is_monthly: self.is_monthly_invoice,
            purchase_order: label(self.purchase_order_number),
            billing_profile: self.billing_profile_id.as_deref().and_then(last_segment),
            billing_profile_name: label(self.billing_profile_display_name),
            subscription: non_empty(self.subscription_id),
            subscription_name: label(self.subscription_display_name),
            documents: documents(self.documents.unwrap_or_default()),
            payments: self.payments.unwrap_or_default().into_iter().map(PaymentShape::into_payment).collect(),
            failed_payments: (self.failed_payments.unwrap_or_default().into_iter())
                .map(|failed| FailedPayment { date: time(failed.date), reason: label(failed.failed_payment_reason) })
                .collect(),
            rebills: rebills(self.rebill_details),
            billed_document_id: non_empty(self.billed_document_id),
            credit_for_document_id: non_empty(self.credit_for_document_id),
            special_taxation_type: label(self.special_taxation_type),
            refund: self.refund_details.map(RefundShape::into_refund),
        }
    }
}

impl PaymentShape {
    fn into_payment(self) -> Payment {
        Payment {
            amount: self.amount.and_then(Amount::money),
            date: time(self.date),
            payment_type: label(self.payment_type),
            method_family: label(self.payment_method_family),
            method_type: label(self.payment_method_type),
        }
    }
}

impl RefundShape {
    fn into_refund(self) -> Refund {
        Refund {
            requested_at: time(self.requested_on),
            approved_at: time(self.approved_on),
            completed_at: time(self.completed_on),
            requested: self.amount_requested.and_then(Amount::money),
            refunded: self.amount_refunded.and_then(Amount::money),
            rebill_invoice_id: non_empty(self.rebill_invoice_id),
            transaction_count: self.transaction_count,
            status: label(self.refund_status),
            operation_id: non_empty(self.refund_operation_id),
            reason: label(self.refund_reason),
        }
    }
}

/// The documents with their keys. A kind that is not given is unknown, so it is always mailed.
fn documents(shapes: Vec<DocumentShape>) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let kind = DocumentKind::from_azure(&non_empty(shape.kind).unwrap_or_else(|| "Other".into()));
        let (name, url) = (non_empty(shape.name), non_empty(shape.url));
        let ordinal = documents.iter().filter(|other| other.name.is_none() && other.kind == kind).count();
        let key = Document::key_of(name.as_deref(), url.as_deref(), &kind, ordinal);
        documents.push(Document {
            key,
            name,
            kind,
            numbers: shape.document_numbers.unwrap_or_default(),
            url,
            external_url: non_empty(shape.external_url),
            source: non_empty(shape.source),
        });
    }
    documents
}

/// The chain of corrections, flat; read link by link, so that no depth of it can overflow the stack.
fn rebills(mut next: Option<Box<RawValue>>) -> Vec<Rebill> {
    let mut rebills = Vec::new();
    while let Some(shape) = next.and_then(|raw| serde_json::from_str::<RebillShape>(raw.get()).ok()) {
        if rebills.len() == MAX_REBILLS {
            break;
        }
        next = shape.rebill_details;
        rebills.push(Rebill {
            invoice_document_id: non_empty(shape.invoice_document_id),
            credit_note_document_id: non_empty(shape.credit_note_document_id),
        });
    }
    rebills
}

fn label(text: Option<String>) -> Option<Label> {
    Label::non_empty(&text?)
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn time(time: Option<Time>) -> Option<Timestamp> {
    time?.0
}
