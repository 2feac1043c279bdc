//! Faults on request.

use super::*;

#[tokio::test]
async fn faults_strike_in_order_as_often_as_asked() {
    let world = World::new(no_polls).await;
    let inject = |on, kind, times| world.simulator.inject(Fault { on, kind, times });
    inject(Operation::List, FaultKind::Status(503, Some("3".into())), 2);
    inject(Operation::List, FaultKind::RateLimited("soon".into()), 1);
    inject(Operation::List, FaultKind::Html, 1);
    inject(Operation::List, FaultKind::Empty, 1);
    inject(Operation::Get, FaultKind::Status(500, None), 1);
    let list = world.url(&world.account(&format!("/invoices?{VERSION}")));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let response = world.client.get(list.clone()).bearer_auth(world.simulator.token()).send().await.unwrap();
        let after = response.headers().get("retry-after").map_or("", |value| value.to_str().unwrap()).to_owned();
        seen.push((response.status().as_u16(), after, response.text().await.unwrap().chars().next()));
    }
    let (json, html) = (Some('{'), Some('<'));
    let expected =
        [(503, "3", json), (503, "3", json), (429, "soon", json), (200, "", html), (200, "", None), (200, "", json)];
    assert_eq!(seen, expected.map(|(status, after, first)| (status, after.to_owned(), first)));
    assert_eq!(world.simulator.faults().len(), 1, "the one for another operation waits");
    assert_eq!(world.get(&world.account(&format!("?{VERSION}"))).await.0, 500);
    assert_eq!(world.simulator.faults(), []);
}

#[tokio::test]
async fn lists_can_lead_elsewhere_and_speak_of_the_future() {
    let world = World::new(|_| {}).await;
    let inject = |kind| world.simulator.inject(Fault { on: Operation::List, kind, times: 1 });
    inject(FaultKind::NextLinkElsewhere);
    inject(FaultKind::UnknownEnums);
    let list = world.account(&format!("/invoices?{VERSION}&top=2"));
    assert!(
        world.get_ok(&list).await["nextLink"].as_str().unwrap().starts_with("https://elsewhere.example/providers/")
    );
    let body = world.get_ok(&list).await;
    let properties = &body["value"][1]["properties"];
    assert_eq!(
        (&properties["status"], &properties["documents"][0]["kind"]),
        (&"Simmering".into(), &"Postscript".into())
    );
    assert_eq!(world.get_ok(&list).await["value"][1]["properties"]["status"], "Paid");
}

#[tokio::test]
async fn documents_can_come_cut_wrong_late_or_never() {
    let world = World::new(no_polls).await;
    let inject = |kind| world.simulator.inject(Fault { on: Operation::Blob, kind, times: 1 });
    let link = world.link().await;
    let (_, _, whole) = world.fetch(link.clone()).await;

    inject(FaultKind::Truncated);
    let mut response = world.client.get(link.clone()).send().await.unwrap();
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    let mut got = Vec::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            Ok(None) => panic!("a cut body must not end well"),
            Err(error) => break error,
        }
    };
    assert_eq!(got, whole[..whole.len() / 2], "{error}");

    inject(FaultKind::NotPdf);
    let (status, headers, body) = world.fetch(link.clone()).await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"application/pdf".parse().unwrap()));
    assert!(!body.starts_with(b"%PDF"));

    inject(FaultKind::ExpiredSas);
    assert_eq!(world.fetch(link.clone()).await.0, 403);

    inject(FaultKind::Slow(Duration::from_millis(10)));
    let mut response = world.client.get(link.clone()).send().await.unwrap();
    let started = Instant::now();
    let mut got = Vec::new();
    while got.len() < 20 {
        got.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    assert_eq!(got, whole[..got.len()]);
    assert!(started.elapsed() >= Duration::from_millis(100), "byte by byte");
    drop(response);

    inject(FaultKind::Hang);
    let hung = world.client.get(link.clone()).timeout(Duration::from_millis(200)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(world.fetch(link).await.2, whole);
}

#[tokio::test]
async fn it_stops_when_dropped_even_while_an_answer_hangs() {
    let world = World::new(|_| {}).await;
    world.simulator.inject(Fault { on: Operation::List, kind: FaultKind::Hang, times: 1 });
    let url = world.url(&format!("{ROOT}?{VERSION}"));
    let request = world.client.get(url.clone()).bearer_auth(world.simulator.token());
    let mut hung = JoinSet::new();
    hung.spawn(async move { request.send().await.map(|response| response.status()) });
    while world.simulator.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let client = world.client.clone();
    drop(world.simulator);
    let ended = tokio::time::timeout(Duration::from_secs(5), hung.join_next()).await.unwrap();
    assert!(ended.unwrap().unwrap().map_or(true, |status| status == 503));
    assert!(client.get(url).send().await.unwrap_err().is_connect());
}
