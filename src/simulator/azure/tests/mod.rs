//! The API as a client sees it.

mod downloads;
mod faults;

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::*;
use crate::domain::document::DocumentKind;
use crate::simulator::accounts::{mca_account, monthly_invoice, mosp_account, tax_receipt};

const ROOT: &str = "providers/Microsoft.Billing/billingAccounts";
const VERSION: &str = "api-version=2024-04-01";

fn at() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn accounts() -> Vec<BillingAccount> {
    let names: Vec<String> = (1..=10).map(|number| format!("Team {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    vec![mca_account("Contoso", &names, at()), mosp_account("Fabrikam", 14, at())]
}

struct World {
    simulator: Simulator,
    client: reqwest::Client,
    mca: BillingAccount,
    mosp: BillingAccount,
}

impl World {
    async fn new(change: impl FnOnce(&mut Options)) -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = Options::new(at(), accounts());
        change(&mut options);
        let [mca, mosp] = accounts().try_into().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { simulator: Simulator::start(options).await.unwrap(), client, mca, mosp }
    }

    fn url(&self, path: &str) -> Url {
        self.simulator.endpoint().join(path).unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.client.get(self.url(path)).bearer_auth(self.simulator.token()).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn get_ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str) -> reqwest::Response {
        self.client.post(self.url(path)).bearer_auth(self.simulator.token()).send().await.unwrap()
    }

    fn account(&self, rest: &str) -> String {
        format!("{ROOT}/{}{rest}", self.mca.name)
    }

    /// The link to the newest MCA invoice's PDF, asked for without polls.
    async fn link(&self) -> Url {
        let invoice = self.mca.invoices.last().unwrap();
        let path = format!("/invoices/{}/download?{VERSION}&documentName={}", invoice.name, invoice.documents[0].name);
        let body: Value = self.post(&self.account(&path)).await.json().await.unwrap();
        body["url"].as_str().unwrap().parse().unwrap()
    }

    async fn fetch(&self, url: Url) -> (StatusCode, HeaderMap, Vec<u8>) {
        let response = self.client.get(url).send().await.unwrap();
        (response.status(), response.headers().clone(), response.bytes().await.unwrap().to_vec())
    }
}

fn no_polls(options: &mut Options) {
    options.download.polls = 0;
}

fn names(body: &Value) -> Vec<String> {
    body["value"].as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_come_in_pages_of_fifty_oldest_first_with_a_relative_next_link() {
    let world = World::new(|_| {}).await;
    let mut path = world.account(&format!("/invoices?{VERSION}&periodStartDate=2025-11-23&periodEndDate=2026-12-23"));
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let body = world.get_ok(&path).await;
        assert_eq!(body["totalCount"], 120);
        let page = names(&body);
        sizes.push(page.len());
        seen.extend(page);
        let Some(next) = body["nextLink"].as_str() else { break };
        assert!(next.starts_with("/providers/Microsoft.Billing/billingAccounts/"), "{next}");
        assert!(next.contains("periodStartDate=2025-11-23 00:00:00Z&") && next.contains("%3D%3D&$top=50"), "{next}");
        next.clone_into(&mut path);
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert_eq!(seen, world.mca.invoices.iter().map(|invoice| invoice.name.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_next_link_encoded_twice_is_refused() {
    let world = World::new(|_| {}).await;
    let body = world.get_ok(&world.account(&format!("/invoices?{VERSION}"))).await;
    let next = body["nextLink"].as_str().unwrap();
    assert_eq!(world.get(next).await.0, 200);
    assert_eq!(world.get(&next.replace("%3D", "%253D")).await.0, 400);
}

#[tokio::test]
async fn a_window_means_the_day_of_issue_or_the_period() {
    let world = World::new(|_| {}).await;
    let count = async |from: &str, to: &str| {
        let query = format!("/invoices?{VERSION}&periodStartDate={from}&periodEndDate={to}");
        world.get_ok(&world.account(&query)).await["totalCount"].as_u64().unwrap()
    };
    assert_eq!(count("2026-11-05", "2026-11-05").await, 10, "issued that day");
    assert_eq!(count("2026-10-02", "2026-10-04").await, 10, "period of that month");
    assert_eq!(count("2026-11-06", "2026-11-30").await, 0);
    assert_eq!(world.get(&world.account(&format!("/invoices?{VERSION}&periodStartDate=yesterday"))).await.0, 400);
    assert_eq!(world.get(&world.account(&format!("/invoices?{VERSION}&top=51"))).await.0, 400);
    let body = world.get_ok(&world.account(&format!("/invoices?{VERSION}&top=3&skip=118"))).await;
    assert_eq!((names(&body).len(), body["nextLink"].as_str()), (2, None));
}

#[tokio::test]
async fn token_and_version_are_needed() {
    let world = World::new(|_| {}).await;
    let (status, body) = world.get(ROOT).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (400, Some("MissingApiVersionParameter")));
    for token in [None, Some("another")] {
        let request = world.client.get(world.url(&format!("{ROOT}?{VERSION}")));
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("x-ms-correlation-request-id"));
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "InvalidAuthenticationToken");
    }
    let bearers: Vec<_> = world.simulator.requests().iter().map(|request| request.bearer).collect();
    assert_eq!(bearers, [true, false, true]);
}

#[tokio::test]
async fn an_invoice_has_one_shape_per_form() {
    let world = World::new(|_| {}).await;
    let invoice = world.mca.invoices.last().unwrap();
    let subscription = invoice.subscription.as_ref().unwrap();
    let by_account = world.get_ok(&world.account(&format!("/invoices/{}?{VERSION}", invoice.name))).await;
    let by_default = world.get_ok(&format!("{ROOT}/default/invoices/{}?{VERSION}", invoice.name)).await;
    let path = format!("{ROOT}/default/billingSubscriptions/{subscription}/invoices");
    let by_subscription = world.get_ok(&format!("{path}/{}?{VERSION}", invoice.name)).await;
    assert_eq!(by_account, by_default);
    assert_eq!(by_account["type"], "Microsoft.Billing/billingAccounts/invoices");
    assert_eq!(by_subscription["type"], "Microsoft.Billing/billingAccounts/billingSubscriptions/invoices");
    assert_eq!(by_subscription["id"], format!("/{path}/{}", invoice.name));
    let (mca, other) = (&by_account["properties"], &by_subscription["properties"]);
    assert!(mca["billingProfileId"].as_str().unwrap().ends_with(invoice.profile.as_deref().unwrap()));
    assert!(mca.get("subscriptionId").is_none() && other.get("billingProfileId").is_none());
    assert_eq!(
        (&other["subscriptionId"], &other["invoiceType"]),
        (&subscription.as_str().into(), &"AzureServices".into())
    );
    assert_eq!(mca["documents"], serde_json::json!([{ "kind": "Invoice", "name": invoice.documents[0].name }]));
    let date = mca["invoiceDate"].as_str().unwrap();
    assert_eq!(date.split_once('.').unwrap().1.len(), 8, "seven digits and Z: {date}");
    assert_eq!(date.parse::<Timestamp>().unwrap(), invoice.invoice_at);
    let cents = |name: &str| (mca[name]["value"].as_f64().unwrap() * 100.0).round();
    assert!((cents("subTotal") + cents("taxAmount") - cents("totalAmount")).abs() < 0.5);
    let listed = world.get_ok(&format!("{path}?{VERSION}")).await;
    assert_eq!(names(&listed).len(), 12);
}

#[tokio::test]
async fn accounts_profiles_and_properties_are_found_whatever_the_case() {
    let world = World::new(|_| {}).await;
    assert_eq!(
        names(&world.get_ok(&format!("{ROOT}?{VERSION}")).await),
        [&world.mca.name, &world.mosp.name].map(String::clone)
    );
    let encoded = world.mca.name.replace(':', "%3A").to_uppercase();
    let account = world.get_ok(&format!("/PROVIDERS/microsoft.billing/BILLINGACCOUNTS/{encoded}?{VERSION}")).await;
    assert_eq!(account["name"], world.mca.name.as_str());
    assert_eq!(account["properties"]["agreementType"], "MicrosoftCustomerAgreement");
    let profile = &world.mca.profiles[0].name;
    let profiles = world.get_ok(&world.account(&format!("/billingProfiles?{VERSION}"))).await;
    assert_eq!(names(&profiles).len(), 10);
    let one = world.get_ok(&world.account(&format!("/billingProfiles/{profile}?{VERSION}"))).await;
    assert_eq!((&one, &one["properties"]["invoiceDay"]), (&profiles["value"][0], &5.into()));
    let invoices = world.get_ok(&world.account(&format!("/billingProfiles/{profile}/invoices?{VERSION}"))).await;
    assert_eq!(names(&invoices).len(), 12);
    let subscription = &world.mosp.subscriptions[0].id;
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.Billing/billingProperty/default?{VERSION}");
    let property = world.get_ok(&path).await;
    let id = property["properties"]["billingAccountId"].as_str().unwrap();
    assert_eq!(id, format!("/{ROOT}/{}", world.mosp.name));
    let listed = world.get_ok(&format!("{ROOT}/{}/billingSubscriptions?{VERSION}", world.mosp.name)).await;
    assert_eq!(names(&listed), [subscription.as_str()]);
    assert_eq!(world.get(&format!("{ROOT}/nobody?{VERSION}")).await.0, 404);
    assert_eq!(world.get(&world.account(&format!("/customers/x/y?{VERSION}"))).await.0, 404);
}

#[tokio::test]
async fn what_the_token_may_not_see_is_empty_or_forbidden() {
    let world = World::new(|_| {}).await;
    let [first, second] = [0, 1].map(|at: usize| world.mca.profiles[at].name.clone());
    world.simulator.set_access(&first, Access::EmptyList);
    world.simulator.set_access(&second, Access::Forbidden);
    let invoices = |profile: &str| world.account(&format!("/billingProfiles/{profile}/invoices?{VERSION}"));
    assert_eq!(world.get_ok(&invoices(&first)).await["totalCount"], 0);
    let (status, body) = world.get(&invoices(&second)).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (403, &"AuthorizationFailed".into()));
    let profiles = world.get_ok(&world.account(&format!("/billingProfiles?{VERSION}"))).await;
    assert_eq!((names(&profiles).len(), &profiles["value"][0]["properties"]["hasReadAccess"]), (9, &false.into()));
    assert_eq!(world.get_ok(&world.account(&format!("/invoices?{VERSION}"))).await["totalCount"], 96);
    let hidden = world.mca.invoices.iter().find(|invoice| invoice.profile.as_ref() == Some(&first)).unwrap();
    assert_eq!(world.get(&world.account(&format!("/invoices/{}?{VERSION}", hidden.name))).await.0, 403);

    world.simulator.set_access(&world.mca.name, Access::EmptyList);
    assert_eq!(world.get_ok(&world.account(&format!("/invoices?{VERSION}"))).await["totalCount"], 0);
    let account = world.get_ok(&world.account(&format!("?{VERSION}"))).await;
    assert_eq!(account["properties"]["hasReadAccess"], false);
    world.simulator.set_access(&first, Access::Read);
    assert_eq!(world.get_ok(&invoices(&first)).await["totalCount"], 12, "a role on the profile alone");
    world.simulator.set_access(&world.mca.name, Access::Forbidden);
    assert_eq!(world.get(&world.account(&format!("?{VERSION}"))).await.0, 403);
    assert_eq!(names(&world.get_ok(&format!("{ROOT}?{VERSION}")).await), [world.mosp.name.as_str()]);
}
