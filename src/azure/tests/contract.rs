//! Microsoft's published examples of the operations used, read into the domain.
//!
//! `AZURE_EXAMPLES_DIR` names the folder of the examples of api-version 2024-04-01 in azure-rest-api-specs.

use std::env;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::azure::wire::{self, Access, BillingProperty, DownloadResult, Page, Resource, last_segment};

#[derive(Deserialize)]
struct Example {
    responses: Responses,
}

#[derive(Deserialize)]
struct Responses {
    #[serde(rename = "200")]
    ok: Ok200,
}

#[derive(Deserialize)]
struct Ok200 {
    body: Box<RawValue>,
}

fn read<T: DeserializeOwned>(body: &RawValue) -> T {
    serde_json::from_str(body.get()).unwrap()
}

/// Reads one example; answers how many things it held, or `None` if its operation is not used.
fn check(name: &str, body: &RawValue) -> Option<usize> {
    let invoice = |entry: &RawValue| {
        let invoice = wire::invoice(entry, "account").unwrap();
        assert!(!invoice.name.is_empty() && invoice.invoice_date.is_some() && invoice.due_date.is_some(), "{name}");
        assert!(
            invoice.amounts.due.is_some() && invoice.amounts.billed.is_some() && invoice.status.is_some(),
            "{name}"
        );
        assert!(invoice.documents.iter().all(|document| document.name.is_some()), "{name}");
    };
    let access = |entry: &RawValue| {
        let resource: Resource<Access> = read(entry);
        assert!(resource.name.is_some() && resource.properties.is_some(), "{name}");
    };
    let each = |check: &dyn Fn(&RawValue)| {
        let entries = read::<Page>(body).value.unwrap();
        for entry in &entries {
            check(entry);
        }
        entries.len()
    };
    Some(match name {
        name if name.starts_with("invoicesGet") => {
            invoice(body);
            1
        }
        name if name.starts_with("invoicesListBy") => each(&invoice),
        name if name.starts_with("invoicesDownload") => {
            assert!(read::<DownloadResult>(body).url.unwrap().starts_with("https://myaccount.blob.core.windows.net/"));
            1
        }
        "billingAccountsList.json" | "billingProfilesListByBillingAccount.json" => each(&access),
        name if name.starts_with("billingAccountsGet") || name == "billingProfilesGet.json" => {
            access(body);
            1
        }
        name if name.starts_with("billingPropertyGet") => {
            let id = read::<Resource<BillingProperty>>(body).properties.unwrap().billing_account_id.unwrap();
            assert!(last_segment(&id).unwrap().starts_with("00000000-0000-0000-0000-000000000000"), "{id}");
            1
        }
        _ => return None,
    })
}

#[test]
fn published_examples_are_understood() {
    let Some(folder) = env::var_os("AZURE_EXAMPLES_DIR") else {
        println!("skipped: AZURE_EXAMPLES_DIR is not set");
        return;
    };
    let mut files = 0;
    let mut things = 0;
    for entry in fs::read_dir(Path::new(&folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Ok(example) = fs::read_to_string(&path)
            .map_err(drop)
            .and_then(|text| serde_json::from_str::<Example>(&text).map_err(drop))
        else {
            continue;
        };
        if let Some(held) = check(&name, &example.responses.ok.body) {
            files += 1;
            things += held;
        }
    }
    println!("{files} examples, {things} resources");
    assert!(files >= 15, "only {files} examples in the folder");
}
