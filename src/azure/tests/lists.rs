//! Lists against a scripted server.

use std::time::{Duration, Instant};

use jiff::civil::{Date, date};

use super::server::{Server, Step, say};
use super::{TOKEN, client, full, limits, profile};
use crate::azure::{Cause, Client, Error, InvoiceList, Limits};
use crate::domain::billing::Scope;

const SPAN: (Date, Date) = (date(2025, 11, 23), date(2026, 12, 23));

async fn list(client: &Client, scope: &Scope) -> Result<InvoiceList, Error> {
    client.list_invoices(scope, "the-account", SPAN.0, SPAN.1).await
}

fn json(body: &str) -> Step {
    say(200, &[("Content-Type", "application/json")], body)
}

fn names(list: &InvoiceList) -> Vec<&str> {
    list.invoices.iter().map(|invoice| invoice.name.as_str()).collect()
}

#[tokio::test]
async fn every_page_is_read_and_every_number_kept_once() {
    let api = Server::start().await;
    let second = r#"{"value":[],"nextLink":"/next?a=1 2&b=%3D"}"#;
    let third = api.url("/third");
    api.script([
        json(r#"{"value":[{"name":"G1"},{"id":"/x/invoices/odd"},{"name":"G2","properties":{"documents":7}},{"name":"G3"}],"nextLink":"/second"}"#),
        json(second),
        json(&format!(r#"{{"value":[{{"name":"G3"}},{{"name":"G4"}},7,null],"nextLink":"{third}"}}"#)),
        json(r#"{"value":[{"name":"G5"}],"nextLink":""}"#),
    ]);
    let got = list(&client(&api, &api, limits()), &profile()).await.unwrap();
    assert_eq!(names(&got), ["G1", "G3", "G4", "G5"]);
    assert!(got.invoices.iter().all(|invoice| invoice.billing_account == "the-account"));
    assert_eq!(got.refused.len(), 4, "{:?}", got.refused);
    assert_eq!(got.refused[0], "An entry has no number (`name`); its id is `/x/invoices/odd`.");
    assert!(got.refused[1].starts_with("The entry G2 is not an invoice: invalid type"), "{}", got.refused[1]);
    assert!(got.refused[2].starts_with("The entry without a number is not"), "{}", got.refused[2]);
    let first = "GET /providers/Microsoft.Billing/billingAccounts/a%3Ab_2019-05-31/billingProfiles/P-1/invoices\
                 ?api-version=2024-04-01&periodStartDate=2025-11-23&periodEndDate=2026-12-23&top=50";
    assert_eq!(api.lines(), [first, "GET /second", "GET /next?a=1%202&b=%3D", "GET /third"]);
    for request in api.requests() {
        assert!(request.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{request}");
        assert!(request.contains("x-ms-client-request-id: "), "{request}");
    }
}

#[tokio::test]
async fn accounts_and_subscriptions_have_paths_of_their_own() {
    for (scope, path) in [
        (Scope::Account { account: "123".into() }, "/123/invoices?"),
        (
            Scope::Subscription { subscription: "s/1".into(), account: None },
            "/default/billingSubscriptions/s%2F1/invoices?",
        ),
    ] {
        let api = Server::start().await;
        api.script([json(r#"{"value":[]}"#)]);
        assert_eq!(list(&client(&api, &api, limits()), &scope).await.unwrap(), InvoiceList::default());
        assert!(api.lines()[0].starts_with(&format!("GET /providers/Microsoft.Billing/billingAccounts{path}")));
    }
}

#[tokio::test]
async fn one_401_is_overcome_and_two_are_not() {
    let refused =
        || say(401, &[], r#"{"error":{"code":"ExpiredAuthenticationToken","message":"The access token expired"}}"#);
    let api = Server::start().await;
    api.script([refused(), json(r#"{"value":[]}"#)]);
    list(&client(&api, &api, limits()), &profile()).await.unwrap();
    api.script([refused(), refused()]);
    let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
    assert_eq!(api.requests().len(), 4);
    assert!(!error.is_transient());
    assert_eq!(
        full(&error),
        "cannot list the invoices of billing profile P-1 of billing account a:b_2019-05-31: \
         Azure answered 401 ExpiredAuthenticationToken: The access token expired (our id)"
    );
    assert!(error.hint().unwrap().contains("its secret has not expired"));
}

#[tokio::test]
async fn passing_errors_are_overcome_and_lasting_ones_are_not_repeated() {
    for status in [408, 429, 500, 502, 503, 504] {
        let api = Server::start().await;
        let passing = || say(status, &[("Retry-After", "0")], "<html>busy</html>");
        api.script([passing(), Step::Say(Vec::new()), passing(), json(r#"{"value":[]}"#)]);
        list(&client(&api, &api, limits()), &profile()).await.unwrap();
        assert_eq!(api.requests().len(), 4, "{status}");
        api.script([passing(), passing(), passing(), passing()]);
        let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
        assert!(error.is_transient(), "{status}");
        assert!(
            full(&error).contains(&format!("Azure answered {status} with an HTML page of 17 bytes")),
            "{}",
            full(&error)
        );
        assert_eq!(api.requests().len(), 8, "{status}");
    }
    for status in [302, 400, 403, 404, 409, 501] {
        let api = Server::start().await;
        api.script([say(status, &[("Location", "https://evil.example/")], "")]);
        let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
        assert!(!error.is_transient(), "{status}");
        assert_eq!(api.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_wait_is_kept_or_else_told() {
    let api = Server::start().await;
    api.script([say(429, &[("Retry-After-Ms", "200")], ""), json(r#"{"value":[]}"#)]);
    let started = Instant::now();
    list(&client(&api, &api, limits()), &profile()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));

    api.script([say(429, &[("Retry-After", "17")], "")]);
    let started = Instant::now();
    let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    assert!(error.is_transient());
    assert!(full(&error).ends_with("Azure asks to wait 17s before the next request: Azure answered 429 (our id)"));
}

#[tokio::test]
async fn what_is_not_a_list_is_told_by_its_hash() {
    for (body, told) in [
        ("<!DOCTYPE html><p>Sign in</p>", "the answer is not JSON but an HTML page of 29 bytes, SHA-256 "),
        ("", "the answer is not JSON but a body of 0 bytes, SHA-256 e3b0c44298fc"),
        ("upstream", "the answer is not JSON but a body of 8 bytes, SHA-256 "),
        (r#"{"value":[{"name":"G1"#, "the answer is not the JSON expected, at line 1, column 21 ("),
        (r#"{"value":7}"#, "the answer is not the JSON expected, at line 1, column 10 ("),
        (r#"{"error":{"code":"Odd"}}"#, "the answer has no `value`"),
    ] {
        let api = Server::start().await;
        api.script([say(200, &[("Content-Type", "text/html")], body)]);
        let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
        assert!(full(&error).contains(told), "{}", full(&error));
        assert!(error.is_transient(), "{body}");
        assert_eq!(api.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_list_never_leaves_the_endpoint_and_always_ends() {
    let elsewhere = Server::start().await;
    let api = Server::start().await;
    api.script([json(&format!(r#"{{"value":[],"nextLink":"{}"}}"#, elsewhere.url("/x?sig=1")))]);
    let error = list(&client(&api, &elsewhere, limits()), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::ForeignHost { what: "nextLink", .. }), "{error:?}");
    assert!(elsewhere.requests().is_empty());

    let page = |next: &str| json(&format!(r#"{{"value":[],"nextLink":"{next}"}}"#));
    api.script([page("/a"), page("/b"), page("/a")]);
    let error = list(&client(&api, &api, limits()), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::PageLoop { page: 4 }), "{error:?}");

    api.script([page("/1"), page("/2"), page("/3")]);
    let few = Limits { pages: 3, ..limits() };
    let error = list(&client(&api, &api, few), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::TooManyPages { limit: 3 }), "{error:?}");
    api.requests();
}

#[tokio::test]
async fn an_answer_has_a_largest_size_and_a_longest_time() {
    let api = Server::start().await;
    let small = Limits { json_bytes: 1000, ..limits() };
    api.script([say(200, &[], " ".repeat(1001))]);
    let error = list(&client(&api, &api, small.clone()), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::AnswerTooLarge { limit: 1000 }), "{error:?}");
    api.script([Step::Drip(super::server::head(200, &[]), Duration::ZERO)]);
    let error = list(&client(&api, &api, small), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::AnswerTooLarge { limit: 1000 }), "{error:?}");

    let hasty = Limits { request_timeout: Duration::from_millis(100), attempts: 2, ..limits() };
    api.script([Step::Hang, Step::Drip(super::server::head(200, &[]), Duration::from_millis(20))]);
    let error = list(&client(&api, &api, hasty), &profile()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Timeout { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(api.requests().len(), 4);
}

#[tokio::test]
async fn a_dead_server_is_a_passing_error_without_an_address() {
    let api = Server::start().await;
    let client = client(&api, &api, limits());
    let host = api.host();
    drop(api);
    let error = list(&client, &profile()).await.unwrap_err();
    assert!(error.is_transient());
    let told = full(&error);
    assert!(told.contains("cannot talk to 127.0.0.1: ") && told.contains("onnect"), "{told}");
    assert!(!told.contains("periodStartDate") && !told.contains(&host), "{told}");
}

#[tokio::test]
async fn accounts_and_access_are_asked() {
    let api = Server::start().await;
    let client = client(&api, &api, limits());
    api.script([
        json(r#"{"properties":{"billingAccountId":"/providers/Microsoft.Billing/billingAccounts/a:b_2019-05-31"}}"#),
        json(r#"{"properties":{}}"#),
        json(r#"{"properties":{"hasReadAccess":true}}"#),
        json(r#"{"properties":{"hasReadAccess":false}}"#),
        json(r#"{"properties":{}}"#),
    ]);
    assert_eq!(client.billing_account_of("s1").await.unwrap(), "a:b_2019-05-31");
    let error = client.billing_account_of("s2").await.unwrap_err();
    assert_eq!(
        full(&error),
        "cannot find the billing account of subscription s2: the request failed (our id): the answer has no `billingAccountId`"
    );
    let account = Scope::Account { account: "123".into() };
    assert_eq!(client.has_read_access(&profile()).await.unwrap(), Some(true));
    assert_eq!(client.has_read_access(&account).await.unwrap(), Some(false));
    assert_eq!(client.has_read_access(&account).await.unwrap(), None);
    let subscription = Scope::Subscription { subscription: "s1".into(), account: None };
    assert_eq!(client.has_read_access(&subscription).await.unwrap(), None);
    let base = "GET /providers/Microsoft.Billing/billingAccounts";
    assert_eq!(
        api.lines(),
        [
            "GET /subscriptions/s1/providers/Microsoft.Billing/billingProperty/default?api-version=2024-04-01"
                .to_owned(),
            "GET /subscriptions/s2/providers/Microsoft.Billing/billingProperty/default?api-version=2024-04-01"
                .to_owned(),
            format!("{base}/a%3Ab_2019-05-31/billingProfiles/P-1?api-version=2024-04-01"),
            format!("{base}/123?api-version=2024-04-01"),
            format!("{base}/123?api-version=2024-04-01"),
        ]
    );
}
