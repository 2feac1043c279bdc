//! The JSON of the resources, as in the 2024-04-01 specification's examples.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::route::Owner;
use super::state::Access;
use super::{Dialect, Service};
use crate::domain::billing::Agreement;
use crate::domain::document::DocumentKind;
use crate::simulator::accounts::{BillingAccount, BillingProfile, Invoice, Subscription};

const BILLING_TENANT: &str = "20000000-0000-0000-0000-000000000001";

/// Seven fraction digits, as the live service writes instants.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
}

fn agreement_type(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Mca => "MicrosoftCustomerAgreement",
        Agreement::Mpa => "MicrosoftPartnerAgreement",
        Agreement::Mosp => "MicrosoftOnlineServicesProgram",
        Agreement::Ea => "EnterpriseAgreement",
    }
}

fn account_type(agreement: Agreement) -> &'static str {
    if agreement == Agreement::Mosp { "Individual" } else { "Business" }
}

pub(super) fn account(account: &BillingAccount, access: Access) -> Value {
    json!({
        "id": Owner::Account(account.name.clone()).path(),
        "name": account.name,
        "type": "Microsoft.Billing/billingAccounts",
        "properties": {
            "accountStatus": "Active",
            "accountType": account_type(account.agreement),
            "agreementType": agreement_type(account.agreement),
            "displayName": account.display_name,
            "hasReadAccess": access == Access::Read,
            "primaryBillingTenantId": BILLING_TENANT,
        },
    })
}

pub(super) fn profile(account: &BillingAccount, profile: &BillingProfile, access: Access) -> Value {
    json!({
        "id": Owner::Profile(account.name.clone(), profile.name.clone()).path(),
        "name": profile.name,
        "type": "Microsoft.Billing/billingAccounts/billingProfiles",
        "properties": {
            "billTo": { "companyName": account.display_name, "addressLine1": "1 Loopback Street", "city": "Localhost", "country": "NL" },
            "currency": profile.currency,
            "displayName": profile.display_name,
            "hasReadAccess": access == Access::Read,
            "invoiceDay": profile.invoice_day,
            "invoiceEmailOptIn": profile.email_opt_in,
            "invoiceRecipients": profile.recipients,
            "poNumber": profile.purchase_order.as_deref().unwrap_or_default(),
            "spendingLimit": "Off",
            "status": "Active",
        },
    })
}

pub(super) fn subscription(account: &BillingAccount, subscription: &Subscription) -> Value {
    let mut properties = json!({
        "displayName": subscription.display_name,
        "status": "Active",
        "subscriptionId": subscription.id,
    });
    if let Some(profile) = subscription.profile.as_deref().and_then(|name| account.profile(name)) {
        let id = Owner::Profile(account.name.clone(), profile.name.clone()).path();
        properties["billingProfileId"] = id.into();
        properties["billingProfileName"] = profile.name.clone().into();
        properties["billingProfileDisplayName"] = profile.display_name.clone().into();
    }
    json!({
        "id": format!("{}/billingSubscriptions/{}", Owner::Account(account.name.clone()).path(), subscription.id),
        "name": subscription.id,
        "type": "Microsoft.Billing/billingAccounts/billingSubscriptions",
        "properties": properties,
    })
}

pub(super) fn property(account: &BillingAccount, subscription: &Subscription) -> Value {
    let mut properties = json!({
        "billingAccountAgreementType": agreement_type(account.agreement),
        "billingAccountDisplayName": account.display_name,
        "billingAccountId": Owner::Account(account.name.clone()).path(),
        "billingAccountSoldToCountry": "NL",
        "billingAccountType": account_type(account.agreement),
        "subscriptionBillingStatus": "Active",
        "subscriptionWorkloadType": "Production",
    });
    if let Some(profile) = subscription.profile.as_deref().and_then(|name| account.profile(name)) {
        let id = Owner::Profile(account.name.clone(), profile.name.clone()).path();
        properties["billingProfileId"] = id.into();
        properties["billingProfileDisplayName"] = profile.display_name.clone().into();
        properties["billingProfileStatus"] = "Active".into();
    }
    json!({
        "id": format!("/subscriptions/{}/providers/Microsoft.Billing/billingProperty/default", subscription.id),
        "name": "default",
        "type": "Microsoft.Billing/billingProperty",
        "properties": properties,
    })
}

impl Service {
    /// An invoice as listed under `owner`: by subscription it has another id and type and lacks the profile.
    pub(super) fn invoice(&self, account: &BillingAccount, invoice: &Invoice, owner: &Owner) -> Value {
        let by_subscription = matches!(owner, Owner::Subscription(_));
        let home = match owner {
            Owner::Subscription(_) => owner.path(),
            Owner::Account(_) | Owner::Profile(..) => Owner::Account(account.name.clone()).path(),
        };
        let id = format!("{home}/invoices/{}", invoice.name);
        let mut properties = common(invoice);
        properties.insert("documents".into(), self.documents(invoice, &id));
        if by_subscription || account.agreement == Agreement::Mosp {
            insert_subscription(&mut properties, account, invoice);
        } else {
            insert_profile(&mut properties, account, invoice);
        }
        let kind = if by_subscription {
            "Microsoft.Billing/billingAccounts/billingSubscriptions/invoices"
        } else {
            "Microsoft.Billing/billingAccounts/invoices"
        };
        json!({ "id": id, "name": invoice.name, "properties": properties, "type": kind })
    }

    fn documents(&self, invoice: &Invoice, id: &str) -> Value {
        let document = |name: &str, kind: &str| match self.dialect {
            Dialect::Named => json!({ "kind": kind, "name": name }),
            Dialect::Tokens => json!({
                "kind": kind,
                "source": "DRS",
                "url": format!("http://{}{id}/download?downloadToken=Drs_{name}&api-version=2020-05-01", self.api),
            }),
        };
        invoice.documents.iter().map(|each| document(&each.name, each.kind.as_azure())).collect()
    }
}

fn amount(value: Decimal, currency: &str) -> Value {
    json!({ "currency": currency, "value": value.to_string().parse::<f64>().unwrap_or_default() })
}

fn common(invoice: &Invoice) -> Map<String, Value> {
    let money = |value| amount(value, &invoice.currency);
    let settled = matches!(invoice.status.as_str(), "Paid" | "Void");
    let due = if settled { Decimal::ZERO } else { invoice.total() };
    let payments = match invoice.status.as_str() {
        "Paid" => json!([{
            "amount": money(invoice.total()),
            "date": instant(invoice.due_at),
            "paymentMethodFamily": "CheckWire",
            "paymentType": "Charged",
        }]),
        _ => json!([]),
    };
    let properties = [
        ("amountDue", money(due)),
        ("billedAmount", money(invoice.total())),
        ("dueDate", instant(invoice.due_at).into()),
        ("invoiceDate", instant(invoice.invoice_at).into()),
        ("invoicePeriodEndDate", instant(invoice.period_end).into()),
        ("invoicePeriodStartDate", instant(invoice.period_start).into()),
        ("payments", payments),
        ("purchaseOrderNumber", invoice.purchase_order.clone().unwrap_or_default().into()),
        ("status", invoice.status.clone().into()),
    ];
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn insert_profile(properties: &mut Map<String, Value>, account: &BillingAccount, invoice: &Invoice) {
    let money = |value| amount(value, &invoice.currency);
    let zero = || money(Decimal::ZERO);
    let is_credit = invoice.kind == DocumentKind::CreditNote;
    let more = [
        ("azurePrepaymentApplied", zero()),
        ("creditAmount", if is_credit { money(invoice.total()) } else { zero() }),
        ("documentType", invoice.kind.as_azure().into()),
        ("freeAzureCreditApplied", zero()),
        ("isMonthlyInvoice", invoice.is_monthly.into()),
        ("subTotal", money(invoice.sub_total())),
        ("taxAmount", money(invoice.tax)),
        ("totalAmount", money(invoice.total())),
    ];
    properties.extend(more.map(|(name, value)| (name.to_owned(), value)));
    let root = Owner::Account(account.name.clone()).path();
    if let Some(name) = &invoice.profile {
        properties.insert("billingProfileId".into(), format!("{root}/billingProfiles/{name}").into());
        let display_name = account.profile(name).map(|profile| profile.display_name.clone());
        properties.insert("billingProfileDisplayName".into(), display_name.into());
    }
    if let Some(credited) = &invoice.credit_for {
        properties.insert("creditForDocumentId".into(), format!("{root}/invoices/{credited}").into());
    }
}

fn insert_subscription(properties: &mut Map<String, Value>, account: &BillingAccount, invoice: &Invoice) {
    if let Some(kind) = &invoice.invoice_type {
        properties.insert("invoiceType".into(), kind.clone().into());
    }
    if invoice.kind != DocumentKind::Invoice {
        properties.insert("documentType".into(), invoice.kind.as_azure().into());
    }
    if let Some(id) = &invoice.subscription {
        properties.insert("subscriptionId".into(), id.clone().into());
        let display_name = account.subscription(id).map(|subscription| subscription.display_name.clone());
        properties.insert("subscriptionDisplayName".into(), display_name.into());
    }
}

/// Puts words into the extensible enumerations of an invoice, alone or in a list, that nobody knows yet.
pub(super) fn make_enums_unknown(body: &mut Value) {
    let invoices = match body.get_mut("value") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        _ => vec![body],
    };
    for invoice in invoices {
        let Some(Value::Object(properties)) = invoice.get_mut("properties") else { continue };
        for (name, word) in [("status", "Simmering"), ("documentType", "Postscript"), ("invoiceType", "AzureMoon")] {
            if let Some(value) = properties.get_mut(name) {
                *value = word.into();
            }
        }
        for document in properties.get_mut("documents").and_then(Value::as_array_mut).into_iter().flatten() {
            document["kind"] = "Postscript".into();
        }
    }
}
