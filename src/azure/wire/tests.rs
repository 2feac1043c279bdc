use serde_json::value::RawValue;

use super::{Amount, Label, Time, error_of, invoice, last_segment};
use crate::domain::document::DocumentKind;
use crate::domain::invoice::Invoice;

fn read(json: &str) -> Result<Invoice, String> {
    invoice(&RawValue::from_string(json.into()).unwrap(), "the-account")
}

#[test]
fn times_are_read_as_azure_writes_them() {
    for (text, time) in [
        ("2023-02-16T17:32:28Z", Some("2023-02-16T17:32:28Z")),
        ("2021-05-05T00:06:31.1234567Z", Some("2021-05-05T00:06:31.1234567Z")),
        ("2021-05-05T02:06:31.1234567+02:00", Some("2021-05-05T00:06:31.1234567Z")),
        ("2021-05-05T00:06:31", Some("2021-05-05T00:06:31Z")),
        ("2021-05-05", Some("2021-05-05T00:00:00Z")),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+00:00", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("2021-13-05T00:00:00Z", None),
        ("soon", None),
        ("", None),
    ] {
        let read: Time = serde_json::from_value(text.into()).unwrap();
        assert_eq!(read.0, time.map(|time| time.parse().unwrap()), "{text}");
    }
}

#[test]
fn amounts_are_exact() {
    for (value, amount) in [
        ("8.53", Some("8.53")),
        ("0", Some("0")),
        ("-25.460", Some("-25.460")),
        ("33.989999999999995", Some("33.989999999999995")),
        ("123456789012345678.12", Some("123456789012345678.12")),
        ("1.5e3", Some("1500")),
        ("2E-2", Some("0.02")),
        ("-1e-7", Some("-0.0000001")),
        ("\"8.53\"", Some("8.53")),
        ("1e400", None),
        ("null", None),
        ("true", None),
        ("{}", None),
    ] {
        let read: Amount = serde_json::from_str(&format!(r#"{{"currency":"EUR","value":{value}}}"#)).unwrap();
        let read = read.money().map(|money| (money.amount.to_string(), money.currency));
        assert_eq!(read, amount.map(|amount| (amount.to_owned(), "EUR".to_owned())), "{value}");
    }
    let without_currency: Amount = serde_json::from_str(r#"{"value":1}"#).unwrap();
    assert_eq!(without_currency.money(), None);
}

#[test]
fn an_invoice_may_lack_everything_but_its_number() {
    for json in [r#"{"name":"G1"}"#, r#"{"name":"G1","properties":null}"#, r#"{"name":"G1","properties":{}}"#] {
        let invoice = read(json).unwrap();
        assert_eq!((invoice.name.as_str(), invoice.billing_account.as_str()), ("G1", "the-account"));
        assert_eq!(invoice.document_type, DocumentKind::Invoice);
        assert!(invoice.documents.is_empty() && invoice.invoice_date.is_none());
    }
    for json in
        [r#"{"id":"/x"}"#, r#"{"name":""}"#, r#"{"name":" "}"#, r#"{"name":null}"#, r#"{"name":7}"#, "7", "null", "[]"]
    {
        assert!(read(json).is_err(), "{json}");
    }
}

#[test]
fn what_only_describes_may_be_odd() {
    let invoice = read(r#"{"name":"G1","id":7e0,"properties":{}}"#);
    assert!(invoice.is_err());
    let invoice = read(
        r#"{"name":"G1","properties":{"status":"Frozen\u202e","invoiceDate":17,"dueDate":"0001-01-01T00:00:00Z",
        "amountDue":"none","billedAmount":{"currency":"XYZ","value":1},"isMonthlyInvoice":"yes","purchaseOrderNumber":"",
        "payments":{"a":1},"failedPayments":[{"failedPaymentReason":"CardExpired"}],"rebillDetails":"x","documentType":"Nota",
        "billingProfileId":"/providers/x/billingProfiles/P-1/","subscriptionId":"","refundDetails":{"transactionCount":3}}}"#,
    )
    .unwrap();
    assert_eq!(invoice.status.unwrap().as_str(), "Frozen");
    assert_eq!((invoice.invoice_date, invoice.due_date, invoice.is_monthly), (None, None, None));
    assert_eq!(invoice.amounts.due, None);
    assert_eq!(invoice.amounts.billed.unwrap().to_string(), "1.00 XYZ");
    assert_eq!(invoice.purchase_order, None);
    assert!(invoice.payments.is_empty() && invoice.rebills.is_empty());
    assert_eq!(invoice.failed_payments[0].reason.as_ref().unwrap().as_str(), "CardExpired");
    assert_eq!(invoice.document_type, DocumentKind::Other("Nota".into()));
    assert_eq!(invoice.billing_profile.as_deref(), Some("P-1"));
    assert_eq!(invoice.subscription, None);
    assert_eq!(invoice.refund.unwrap().transaction_count, Some(3));
}

#[test]
fn documents_have_keys_that_last() {
    let invoice = read(
        r#"{"name":"G1","properties":{"documents":[
        {"kind":"Invoice","name":"111","documentNumbers":["1","2"],"source":"DRS"},
        {"kind":"Invoice","url":"https://m/x?downloadToken=Drs_9"},
        {"kind":"TaxReceipt","name":""},
        {"kind":"TaxReceipt"},
        {"externalUrl":"https://nota.example/1"}]}}"#,
    )
    .unwrap();
    let keys: Vec<_> = invoice.documents.iter().map(|document| document.key.as_str()).collect();
    assert_eq!(keys, ["111", "Drs_9", "TaxReceipt", "TaxReceipt-2", "Other"]);
    assert_eq!(invoice.documents[0].numbers, ["1", "2"]);
    assert_eq!(invoice.documents[2].name, None);
    assert_eq!(invoice.documents[4].kind, DocumentKind::Other("Other".into()));
    for documents in ["7", "[7]", r#"[{"name":7}]"#] {
        let refused = read(&format!(r#"{{"name":"G1","properties":{{"documents":{documents}}}}}"#)).unwrap_err();
        assert!(refused.starts_with("The entry G1 is not an invoice: invalid type"), "{refused}");
    }
}

#[test]
fn corrections_are_flat_and_end() {
    let mut chain = String::from("{}");
    for n in (0..40).rev() {
        chain = format!(r#"{{"invoiceDocumentId":"I{n}","creditNoteDocumentId":"C{n}","rebillDetails":{chain}}}"#);
    }
    let invoice = read(&format!(r#"{{"name":"G1","properties":{{"rebillDetails":{chain}}}}}"#)).unwrap();
    assert_eq!(invoice.rebills.len(), 32);
    assert_eq!(invoice.rebills[1].invoice_document_id.as_deref(), Some("I1"));

    let deep = format!("{}{}", r#"{"rebillDetails":"#.repeat(100_000), "}".repeat(100_000));
    let json = format!(r#"{{"name":"G1","properties":{deep}}}"#).replacen(r":}", ":null}", 1);
    assert_eq!(read(&json).unwrap().rebills.len(), 32);
}

#[test]
fn errors_are_read_in_both_shapes() {
    for (body, words) in [
        (
            r#"{"error":{"code":"AuthorizationFailed","message":"No\nway"}}"#,
            (Some("AuthorizationFailed"), Some("No way")),
        ),
        (r#"{"code":"Odd","message":7}"#, (Some("Odd"), None)),
        (r#"{"error":"flat"}"#, (None, None)),
        ("<html>", (None, None)),
        ("", (None, None)),
    ] {
        let read = error_of(body.as_bytes());
        assert_eq!((read.code.as_ref().map(Label::as_str), read.message.as_ref().map(Label::as_str)), words, "{body}");
    }
}

#[test]
fn ids_end_in_names() {
    for (id, name) in [("/a/b", Some("b")), ("/a/b/", Some("b")), ("b", Some("b")), ("", None), ("/", None)] {
        assert_eq!(last_segment(id).as_deref(), name, "{id}");
    }
}
