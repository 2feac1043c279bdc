//! Accounts that look like real ones. The same arguments always give the same data.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::{BillingAccount, BillingProfile, Document, Invoice, Line, Subscription};
use crate::domain::billing::Agreement;
use crate::domain::document::DocumentKind;
use crate::domain::invoice::utc_day;

const MONTHS: i32 = 12;
const INVOICE_DAY: i8 = 5;
const CHARGES: [&str; 6] = [
    "Virtual Machines, D4s v5, West Europe",
    "Azure SQL Database, General Purpose, 4 vCore",
    "Storage accounts, Hot LRS block blob, data stored",
    "Bandwidth, inter-region data transfer out",
    "Azure Kubernetes Service, uptime SLA",
    "Azure Monitor, log data ingestion",
];

/// A Microsoft Customer Agreement with one profile per name in `profiles`. Each has a subscription and the last
/// twelve monthly invoices made on or before the day of `now`; the invoices of one month have a tax receipt too.
#[must_use]
pub fn mca_account(display_name: &str, profiles: &[&str], now: Timestamp) -> BillingAccount {
    let name = format!("{}:{}_2019-05-31", guid(&["account", display_name]), guid(&["agreement", display_name]));
    let mut account = empty(name, display_name, Agreement::Mca);
    for (at, profile) in profiles.iter().enumerate() {
        let id = profile_name(&[display_name, profile, &at.to_string()]);
        let subscription = guid(&["subscription", display_name, profile, &at.to_string()]);
        account.subscriptions.push(Subscription {
            id: subscription,
            display_name: format!("{profile} subscription"),
            profile: Some(id.clone()),
        });
        account.profiles.push(BillingProfile {
            name: id,
            display_name: (*profile).to_owned(),
            currency: "EUR".to_owned(),
            invoice_day: INVOICE_DAY,
            email_opt_in: at % 2 == 0,
            recipients: vec![format!("billing-{}@contoso.example", at + 1)],
            purchase_order: at.is_multiple_of(2).then(|| format!("PO-{:05}", 70_001 + at)),
        });
    }
    let mut invoices = Vec::with_capacity(profiles.len() * 12);
    for day in last_days(INVOICE_DAY, now) {
        for at in 0..account.profiles.len() {
            let mut invoice = monthly_invoice(&account, at, day);
            if day.month() == 3 {
                invoice.documents.push(tax_receipt(&invoice));
            }
            invoices.push(invoice);
        }
    }
    account.invoices = invoices;
    settle(&mut account, now);
    account
}

/// A web-direct account (Microsoft Online Services Program) with one subscription and the last twelve invoices for
/// Azure services made on or before the day of `now`, on the given day of the month (at most 28).
#[must_use]
pub fn mosp_account(display_name: &str, invoice_day: i8, now: Timestamp) -> BillingAccount {
    let mut account = empty(guid(&["account", display_name]), display_name, Agreement::Mosp);
    account.subscriptions.push(Subscription {
        id: guid(&["subscription", display_name]),
        display_name: format!("{display_name} pay-as-you-go"),
        profile: None,
    });
    account.invoices = last_days(invoice_day.clamp(1, 28), now).map(|day| monthly_invoice(&account, 0, day)).collect();
    settle(&mut account, now);
    account
}

/// The invoice that the account's profile at `index` (MCA) or its subscription at `index` (MOSP) gets on `day`, for
/// the month before; not added yet, and not paid.
///
/// # Panics
/// If the account has no such profile or subscription.
#[must_use]
pub fn monthly_invoice(account: &BillingAccount, index: usize, day: Date) -> Invoice {
    let mosp = account.agreement == Agreement::Mosp;
    let profile = (!mosp).then(|| &account.profiles[index]);
    let subscription = account.subscriptions.get(index).map(|subscription| subscription.id.clone());
    let name = number(account, index, day);
    let seed = Seed::of(&[&account.name, &name]);
    let (period_start, period_end) = if mosp {
        (day.saturating_sub(Span::new().months(1).days(1)), day.saturating_sub(Span::new().days(2)))
    } else {
        let last = day.first_of_month().saturating_sub(Span::new().days(1));
        (last.first_of_month(), last)
    };
    let invoice_at = instant(day) + SignedDuration::new(368 + i64::from(seed.0[0]) * 60, 450_312_700);
    let lines = lines(&seed);
    let tax = (lines.iter().map(|line| line.amount).sum::<Decimal>() * Decimal::new(21, 2)).round_dp(2);
    Invoice {
        profile: profile.map(|profile| profile.name.clone()),
        subscription,
        kind: DocumentKind::Invoice,
        status: "Due".to_owned(),
        invoice_type: Some("AzureServices".to_owned()),
        invoice_at,
        due_at: invoice_at + SignedDuration::from_hours(30 * 24),
        period_start: instant(period_start),
        period_end: instant(period_end) + SignedDuration::from_secs(86_399),
        currency: profile.map_or_else(|| "EUR".to_owned(), |profile| profile.currency.clone()),
        tax,
        purchase_order: profile.and_then(|profile| profile.purchase_order.clone()),
        is_monthly: true,
        credit_for: None,
        documents: vec![Document { name: seed.digits(1), kind: DocumentKind::Invoice }],
        lines,
        name,
    }
}

/// A tax receipt for the invoice, with a name of its own; not added yet.
#[must_use]
pub fn tax_receipt(invoice: &Invoice) -> Document {
    let seed = Seed::of(&["tax receipt", &invoice.name, invoice.profile.as_deref().unwrap_or_default()]);
    Document { name: seed.digits(2), kind: DocumentKind::TaxReceipt }
}

fn empty(name: String, display_name: &str, agreement: Agreement) -> BillingAccount {
    let display_name = display_name.to_owned();
    BillingAccount { name, display_name, agreement, profiles: vec![], subscriptions: vec![], invoices: vec![] }
}

/// Puts the invoices in order; those past their due date were paid.
fn settle(account: &mut BillingAccount, now: Timestamp) {
    account.sort();
    for invoice in account.invoices.iter_mut().filter(|invoice| invoice.due_at < now) {
        "Paid".clone_into(&mut invoice.status);
    }
}

/// The last twelve days of issue up to `now`, oldest first.
fn last_days(day: i8, now: Timestamp) -> impl Iterator<Item = Date> {
    let today = utc_day(now);
    let this_month = today.first_of_month().saturating_add(Span::new().days(day - 1));
    let newest = if this_month > today { this_month.saturating_sub(Span::new().months(1)) } else { this_month };
    (0..MONTHS).rev().map(move |back| newest.saturating_sub(Span::new().months(back)))
}

/// Numbers rise with the day, then with the index: `G` or `E`, four digits of days and five of the index in base 36.
fn number(account: &BillingAccount, index: usize, day: Date) -> String {
    let days = (instant(day).as_second() / 86_400).unsigned_abs();
    let letter = if account.agreement == Agreement::Mosp { 'E' } else { 'G' };
    let salt = u64::from(Seed::of(&[&account.name]).0[0]);
    format!("{letter}{}{}", base36(days * 36 + salt % 36, 5), base36(index as u64, 4))
}

fn base36(mut value: u64, width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::try_from(value % 36).unwrap_or(0)];
        value /= 36;
    }
    digits.into_iter().map(char::from).collect()
}

fn lines(seed: &Seed) -> Vec<Line> {
    let count = 3 + usize::from(seed.0[1] % 3);
    let charges = CHARGES.iter().zip(seed.0[2..].chunks(2)).take(count);
    let amount = |bytes: &[u8]| {
        Decimal::new(i64::from(bytes[0]) * 256 * 4 + i64::from(bytes.get(1).copied().unwrap_or(1)) + 199, 2)
    };
    charges.map(|(text, bytes)| Line { text: (*text).to_owned(), amount: amount(bytes) }).collect()
}

fn instant(day: Date) -> Timestamp {
    day.to_zoned_datetime(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

fn profile_name(parts: &[&str]) -> String {
    let seed = Seed::of(parts);
    let letters: String = seed.0.iter().take(14).map(|&byte| base36(u64::from(byte), 1)).collect();
    format!("{}-{}-{}-{}", &letters[..4], &letters[4..8], &letters[8..11], &letters[11..14])
}

fn guid(parts: &[&str]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Seed::of(parts).0[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// 32 bytes that depend on the words alone.
struct Seed([u8; 32]);

impl Seed {
    fn of(parts: &[&str]) -> Self {
        Self(Sha256::digest(parts.join("\0")).into())
    }

    /// Eight decimal digits, the first one given.
    fn digits(&self, first: u8) -> String {
        let rest = self.0[24..].iter().take(7).map(|byte| char::from(b'0' + byte % 10));
        std::iter::once(char::from(b'0' + first)).chain(rest).collect()
    }
}
