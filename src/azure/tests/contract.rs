//! Microsoft's published examples of the operations used, read into the domain.
//!
//! `AZURE_EXAMPLES_DIR` names the folder of the examples of api-version 2024-04-01 in azure-rest-api-specs.

use std::env;
use std::fs;
use std::io::Write as _;
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

/// Reads one example; answers how many things it held.
fn check(name: &str, body: &RawValue) -> usize {
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
    match name {
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
        other => panic!("nothing checks {other}"),
    }
}

/// The beginnings of the names of the examples of operations that we use.
const USED: [&str; 8] = [
    "invoicesGet",
    "invoicesListBy",
    "invoicesDownload",
    "billingAccountsList.json",
    "billingAccountsGet",
    "billingProfilesListByBillingAccount.json",
    "billingProfilesGet.json",
    "billingPropertyGet",
];

#[test]
fn published_examples_are_understood() {
    let Some(folder) = env::var_os("AZURE_EXAMPLES_DIR") else {
        // Not `println!`, which is swallowed when a test passes.
        std::io::stderr().write_all(b"skipped: the published examples (AZURE_EXAMPLES_DIR is not set)\n").unwrap();
        return;
    };
    let mut read = Vec::new();
    let mut things = 0;
    for entry in fs::read_dir(Path::new(&folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !USED.iter().any(|used| name.starts_with(used)) {
            continue;
        }
        let example: Example = serde_json::from_str(&fs::read_to_string(&path).unwrap()).expect(&name);
        things += check(&name, &example.responses.ok.body);
        read.push(name);
    }
    println!("{} examples, {things} resources", read.len());
    for used in USED {
        assert!(read.iter().any(|name| name.starts_with(used)), "the folder has no example {used}…");
    }
}
