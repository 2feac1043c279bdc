use super::*;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

#[test]
fn an_mca_account_has_a_year_of_invoices_per_profile() {
    let account = mca_account("Contoso", &["Engineering", "Sales"], now());
    assert_eq!(account, mca_account("Contoso", &["Engineering", "Sales"], now()), "same arguments, same data");
    assert_eq!(account.invoices.len(), 24);
    let days: Vec<_> = account.invoices.iter().map(|invoice| invoice.invoice_at).collect();
    assert_eq!(days[0].strftime("%F").to_string(), "2025-12-05");
    assert_eq!(days[23].strftime("%F").to_string(), "2026-11-05");
    let numbers: Vec<_> = account.invoices.iter().map(|invoice| &invoice.name).collect();
    let months: Vec<_> = days.iter().map(|day| day.strftime("%Y%m").to_string()).collect();
    assert!(numbers.is_sorted() && months.is_sorted(), "the order of numbers is the order of issue");
    assert!(numbers.iter().all(|name| name.len() == 10 && name.starts_with('G')));
    assert_eq!(account.invoices.iter().filter(|invoice| invoice.documents.len() == 2).count(), 2);
    assert_eq!(account.invoices.iter().filter(|invoice| invoice.purchase_order.is_some()).count(), 12);
    for invoice in &account.invoices {
        assert_eq!(invoice.total(), invoice.sub_total() + invoice.tax);
        assert!(invoice.total() > Decimal::ZERO && invoice.total().scale() <= 2);
        assert!(invoice.period_end < invoice.invoice_at && invoice.invoice_at < invoice.due_at);
    }
}

#[test]
fn a_mosp_account_ends_on_the_last_invoice_day() {
    let account = mosp_account("Fabrikam", 24, now());
    assert_eq!(account.invoices.len(), 12);
    let newest = account.invoices.last().unwrap();
    assert_eq!(newest.invoice_at.strftime("%F").to_string(), "2026-10-24");
    assert!(newest.name.starts_with('E') && newest.profile.is_none());
    assert_eq!(newest.subscription.as_deref(), Some(account.subscriptions[0].id.as_str()));
    let on_the_day = mosp_account("Fabrikam", 23, now());
    assert_eq!(on_the_day.invoices.last().unwrap().invoice_at.strftime("%F").to_string(), "2026-11-23");
}

#[test]
fn document_names_differ_between_accounts() {
    let accounts = [mca_account("A", &["x"], now()), mca_account("B", &["x"], now()), mosp_account("C", 3, now())];
    let mut names: Vec<_> = accounts
        .iter()
        .flat_map(|account| &account.invoices)
        .flat_map(|invoice| invoice.documents.iter().map(|document| document.name.clone()))
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn an_added_invoice_is_found_at_its_place() {
    let mut account = mca_account("Contoso", &["Engineering"], now());
    let day = "2026-12-05".parse().unwrap();
    let invoice = monthly_invoice(&account, 0, day);
    account.add(invoice.clone());
    account.add(invoice.clone());
    assert_eq!(account.invoices.len(), 13);
    assert_eq!(account.invoices.last(), Some(&invoice));
    assert_eq!(account.invoice(&invoice.name), Some(&invoice));
}

#[test]
fn an_accounts_file_reads_back() {
    let account = mca_account("Contoso", &["Engineering"], now());
    let json = serde_json::to_string(&[&account]).unwrap();
    assert_eq!(serde_json::from_str::<Vec<BillingAccount>>(&json).unwrap(), [account]);
    let error = serde_json::from_str::<BillingAccount>(
        r#"{"name":"x","display_name":"x","agreement":"mcx","profiles":[],"subscriptions":[],"invoices":[]}"#,
    );
    assert!(error.unwrap_err().to_string().contains("unknown agreement \"mcx\""));
}
