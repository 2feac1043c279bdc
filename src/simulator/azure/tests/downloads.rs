//! Downloads, links and what is added later.

use super::*;

#[tokio::test]
async fn a_download_is_a_long_running_operation() {
    let world = World::new(|options| {
        options.download.polls = 2;
        options.download.retry_after_s = 7;
        options.download.first_poll_not_found = true;
    })
    .await;
    let invoice = world.mca.invoices.last().unwrap();
    let document = &invoice.documents[0].name;
    let path = format!("/invoices/{}/download?{VERSION}&documentName={document}", invoice.name);
    let started = world.post(&world.account(&path)).await;
    assert_eq!((started.status().as_u16(), started.content_length()), (202, Some(0)));
    let location = |response: &reqwest::Response| {
        assert_eq!(response.headers()["retry-after"], "7");
        response.headers()["location"].to_str().unwrap().to_owned()
    };
    let first = location(&started);
    assert!(
        first.starts_with(world.simulator.endpoint().as_str()) && first.contains("/operationResults/invoiceDownload_"),
        "{first}"
    );
    let poll = async |at: &str| world.client.get(at).bearer_auth(world.simulator.token()).send().await.unwrap();
    assert_eq!(poll(&first).await.status(), 404);
    let second = poll(&first).await;
    assert_eq!(second.status(), 202);
    let done = poll(&location(&second)).await;
    assert_eq!(done.status(), 200);
    let body: Value = done.json().await.unwrap();
    assert_eq!(poll(&first).await.json::<Value>().await.unwrap(), body, "asked again, it is the same");
    assert_eq!(
        body["expiryTime"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second(),
        (at() + SignedDuration::from_mins(10)).as_second()
    );
    let (status, headers, pdf) = world.fetch(body["url"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"application/pdf".parse().unwrap()));
    assert_eq!(headers["content-length"], pdf.len().to_string().as_str());
    assert!(headers.contains_key("content-md5"));
    assert_eq!(Some(Sha256Hash::of(&pdf)), world.simulator.sha256(&invoice.name, document));
    assert!(crate::domain::document::Pdf::new(pdf).is_ok());
    assert!(world.simulator.requests().iter().all(|request| !request.path_and_query.contains("sig=")));
}

#[tokio::test]
async fn every_form_downloads_and_an_unknown_document_is_not_found() {
    let world = World::new(no_polls).await;
    let (mca, mosp) = (world.mca.invoices.last().unwrap(), world.mosp.invoices.last().unwrap());
    let subscription = mosp.subscription.as_ref().unwrap();
    for (owner, invoice) in [
        (world.mca.name.clone(), mca),
        ("default".to_owned(), mca),
        (world.mosp.name.clone(), mosp),
        (format!("default/billingSubscriptions/{subscription}"), mosp),
    ] {
        let path = format!("{ROOT}/{owner}/invoices/{}/download?{VERSION}&documentName=", invoice.name);
        let response = world.post(&format!("{path}{}", invoice.documents[0].name)).await;
        assert_eq!(response.status(), 200, "{path}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(world.fetch(body["url"].as_str().unwrap().parse().unwrap()).await.0, 200);
        assert_eq!(world.post(&format!("{path}nothing")).await.status(), 404);
        assert_eq!(world.get(&path).await.0, 404, "a download is a POST");
    }
}

#[tokio::test]
async fn a_link_wants_no_token_its_own_signature_and_its_time() {
    let world = World::new(no_polls).await;
    let link = world.link().await;
    assert_eq!(link.port(), world.simulator.blob_host().rsplit(':').next().unwrap().parse().ok());
    let refused = world.client.get(link.clone()).bearer_auth(world.simulator.token()).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("<Code>InvalidAuthenticationInfo</Code>"));
    assert_eq!(world.simulator.leaked_tokens(), 1);
    for wrong in [
        link.as_str().replace("&sig=", "&sig=A"),
        link.as_str().replace("se=2026", "se=2036"),
        link.as_str().replace("/invoices/G", "/invoices/H"),
    ] {
        assert_eq!(world.fetch(wrong.parse().unwrap()).await.0, 403, "{wrong}");
    }
    assert_eq!(world.fetch(link.clone()).await.0, 200);
    world.simulator.advance(Duration::from_secs(601));
    let (status, _, body) = world.fetch(link).await;
    assert_eq!(status, 403);
    assert!(String::from_utf8(body).unwrap().contains("<Code>AuthenticationFailed</Code>"));
}

#[tokio::test]
async fn what_is_added_later_is_listed_and_served() {
    let world = World::new(no_polls).await;
    let simulator = &world.simulator;
    let invoice = monthly_invoice(&world.mca, 0, "2026-12-05".parse().unwrap());
    assert!(simulator.add_invoice(&world.mca.name, invoice.clone()));
    assert!(!simulator.add_invoice("nobody", invoice.clone()));
    let receipt = tax_receipt(&invoice);
    assert!(simulator.add_document(&invoice.name, receipt.clone()));
    let path = world.account(&format!("/invoices/{}?{VERSION}", invoice.name));
    assert_eq!(world.get_ok(&path).await["properties"]["documents"][1]["kind"], "TaxReceipt");
    assert_ne!(
        simulator.sha256(&invoice.name, &receipt.name),
        simulator.sha256(&invoice.name, &invoice.documents[0].name)
    );
    let taken = simulator.take_documents(&invoice.name).unwrap();
    assert_eq!(taken.len(), 2);
    assert_eq!(world.get_ok(&path).await["properties"]["documents"], serde_json::json!([]));
    assert_eq!(simulator.sha256(&invoice.name, &receipt.name), None);

    let hostile = "../G_1 %2F\u{202e}x";
    assert!(simulator.edit_invoice(&invoice.name, |invoice| {
        hostile.clone_into(&mut invoice.name);
        invoice.documents = taken;
        invoice.kind = DocumentKind::CreditNote;
    }));
    let mut url = world.url(ROOT);
    url.path_segments_mut().unwrap().extend([world.mca.name.as_str(), "invoices", hostile, "download"]);
    url.set_query(Some(&format!("{VERSION}&documentName={}", receipt.name)));
    let answer: Value =
        world.client.post(url).bearer_auth(simulator.token()).send().await.unwrap().json().await.unwrap();
    let (status, _, pdf) = world.fetch(answer["url"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!((status.as_u16(), Some(Sha256Hash::of(&pdf))), (200, simulator.sha256(hostile, &receipt.name)));
}

#[tokio::test]
async fn the_older_dialect_gives_tokens_in_place_of_names() {
    let world = World::new(|options| {
        options.dialect = Dialect::Tokens;
        options.download.polls = 0;
    })
    .await;
    let invoice = world.mca.invoices.last().unwrap();
    let body = world.get_ok(&world.account(&format!("/invoices/{}?{VERSION}", invoice.name))).await;
    let document = &body["properties"]["documents"][0];
    assert!(document.get("name").is_none());
    let response =
        world.client.post(document["url"].as_str().unwrap()).bearer_auth(world.simulator.token()).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn answers_carry_the_ids_and_the_simulated_date() {
    let world = World::new(|_| {}).await;
    let response = world
        .client
        .get(world.url(&format!("{ROOT}?{VERSION}")))
        .bearer_auth(world.simulator.token())
        .send()
        .await
        .unwrap();
    for name in ["x-ms-request-id", "x-ms-correlation-request-id", "x-ms-ratelimit-remaining-tenant-reads"] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    assert!(response.headers()["date"].to_str().unwrap().starts_with("Mon, 23 Nov 2026 12:00:"));
}
