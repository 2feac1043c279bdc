use jiff::civil::date;

use super::*;
use crate::config::{Auth, Tls};
use crate::domain::document::{DocumentKind, Sha256Hash};
use crate::domain::invoice::{Amounts, Invoice};
use crate::domain::money::Money;
use crate::domain::recipients::MemberKind;

fn invoice() -> Invoice {
    let at = |text: &str| Some(text.parse().unwrap());
    let money = |amount: &str| Some(Money { amount: amount.parse().unwrap(), currency: "EUR".into() });
    Invoice {
        billing_account: "account".into(),
        name: "G123456789".into(),
        azure_id: "/providers/Microsoft.Billing/billingAccounts/account/invoices/G123456789".into(),
        document_type: DocumentKind::Invoice,
        status: Label::non_empty("Due"),
        invoice_type: None,
        invoice_date: at("2026-11-09T00:06:00Z"),
        due_date: at("2026-12-09T00:00:00Z"),
        period_start: at("2026-10-01T00:00:00Z"),
        period_end: at("2026-10-31T00:00:00Z"),
        amounts: Amounts { billed: money("1234.5"), due: money("1234.5"), ..Amounts::default() },
        is_monthly: Some(true),
        purchase_order: Label::non_empty("PO-77"),
        billing_profile: None,
        billing_profile_name: Label::non_empty("Contoso Engineering"),
        subscription: None,
        subscription_name: None,
        documents: vec![],
        payments: vec![],
        failed_payments: vec![],
        rebills: vec![],
        billed_document_id: None,
        credit_for_document_id: None,
        special_taxation_type: None,
        refund: None,
    }
}

fn document(key: &str, kind: DocumentKind) -> ArchivedDocument {
    ArchivedDocument { key: key.into(), kind, numbers: vec![], sha256: Sha256Hash::of(key.as_bytes()), bytes: 700 }
}

fn mail() -> Mail {
    Mail {
        delivery: "7d444840-9dc0-11d1-b245-5ffdce74fad2".into(),
        message_id: "0123456789abcdef@billing.contoso.example".into(),
        to: "ap@contoso.example".parse().unwrap(),
        name: Label::non_empty("Accounts payable"),
        member_kind: MemberKind::Human,
        list: "accounting".into(),
        profile: "contoso-engineering".into(),
        generation: 1,
        invoice: invoice(),
        documents: vec![document("12345678", DocumentKind::Invoice)],
        follows: None,
    }
}

fn smtp() -> Smtp {
    let from: Address = "azure-invoices@billing.contoso.example".parse().unwrap();
    Smtp {
        host: "relay".into(),
        port: 587,
        tls: Tls::Starttls,
        ca_file: None,
        from_name: Label::non_empty("Contoso Azure invoices"),
        return_path: from.clone(),
        from,
        reply_to: Some("cloud-team@contoso.example".parse().unwrap()),
        auth: Auth::None,
        max_connections: 1,
        per_minute: 30,
    }
}

fn compose_text(mail: &Mail) -> String {
    let templates = Templates::new("cloud-team@contoso.example").unwrap();
    let attachments = vec![vec![b'x'; 700]; mail.documents.len()];
    let frozen = compose(mail, &attachments, &smtp(), &templates, "2026-11-09T08:15:02Z".parse().unwrap()).unwrap();
    String::from_utf8(freeze::thaw(&frozen, &attachments).unwrap()).unwrap()
}

#[test]
fn a_mail_looks_as_it_should() {
    insta::assert_snapshot!(compose_text(&mail()).replace("\r\n", "\n"));
}

#[test]
fn composing_twice_gives_the_same_bytes() {
    assert_eq!(compose_text(&mail()), compose_text(&mail()));
}

#[test]
fn hostile_names_harm_nothing() {
    for hostile in [
        "a\r\nBcc: victim@contoso.example",
        "inv\u{202e}fdp.exe",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "\u{0}\u{1b}[31m",
        &"long ".repeat(100),
        "=?utf-8?q?x?=",
        "\"quoted\" <x@y.example>",
        "日本語の名前 😀",
        "{{ 7 * 7 }}",
    ] {
        let mut mail = mail();
        mail.invoice.name = hostile.into();
        mail.invoice.billing_profile_name = Label::non_empty(hostile);
        mail.invoice.purchase_order = Label::non_empty(hostile);
        mail.name = Label::non_empty(hostile);
        let text = compose_text(&mail);
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.to_lowercase().contains("\r\nbcc:"), "{hostile:?}");
        assert!(!text.split("text/html").nth(1).unwrap().contains("<script>"), "{hostile:?}");
        let name = text.split("filename=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(name.len() <= MAX_FILE_NAME, "{name}");
        assert_eq!(name.rsplit_once('.').unwrap().1, "pdf", "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        assert!(!name.contains(".."), "{name}");
    }
}

#[test]
fn attachment_names_are_unique_within_a_mail() {
    let mut mail = mail();
    mail.documents = ["1", "1", "22222222222222", "x"].map(|key| document(key, DocumentKind::Invoice)).to_vec();
    let text = compose_text(&mail);
    let mut names: Vec<_> = text.split(" name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names[0], "Azure-Invoice_G123456789_2026-11-09.pdf");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn a_late_receipt_follows_the_first_mail_and_says_what_it_is() {
    let mut mail = mail();
    mail.documents = vec![document("r", DocumentKind::TaxReceipt)];
    mail.follows = Some("first@billing.contoso.example".into());
    let text = compose_text(&mail);
    assert!(text.contains("Subject: Azure tax receipt for invoice G123456789 - Contoso Engineering"), "{text}");
    assert!(text.contains("In-Reply-To: <first@billing.contoso.example>\r\n"));
    assert!(text.contains("References: <first@billing.contoso.example>\r\n"));
    assert!(text.contains("filename=\"Azure-TaxReceipt_G123456789_2026-11-09.pdf\""));
    assert_eq!(mail.invoice.issued_on(), Some(date(2026, 11, 9)));
}
