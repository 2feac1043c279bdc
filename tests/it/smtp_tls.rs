//! STARTTLS is required, and nothing that came in clear is ever read inside TLS.

use std::time::Duration;

use invoice_mailer::config::Tls;
use invoice_mailer::domain::attempt::{Outcome, Phase};
use invoice_mailer::mail::relay::{Deadlines, Relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::world::World;

/// A server that answers each line it gets with the next part of `script`, and reports all that it got.
async fn talk(script: &'static [&'static str]) -> (Outcome, String) {
    let world = World::new(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = world.config().smtp;
    settings.port = listener.local_addr().unwrap().port();
    settings.tls = Tls::Starttls;
    let deadline = Duration::from_millis(500);
    let deadlines = Deadlines { greeting: deadline, command: deadline, ..Deadlines::default() };
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for part in script {
            socket.write_all(part.as_bytes()).await.unwrap();
            let mut buffer = [0; 4096];
            match tokio::time::timeout(Duration::from_secs(1), socket.read(&mut buffer)).await {
                Ok(Ok(n)) if n > 0 => heard.extend_from_slice(&buffer[..n]),
                _ => break,
            }
        }
        heard
    });
    let relay = Relay::new(&settings, deadlines).unwrap();
    let Err(outcome) = relay.connect().await else { panic!("it connected") };
    let heard = server.join_next().await.unwrap().unwrap();
    (outcome, String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test]
async fn each_way_of_cheating_fails_closed() {
    let hello = "220 relay ESMTP\r\n";
    let offers = "250-relay\r\n250-SIZE 1000\r\n250 STARTTLS\r\n";
    let table: [(&'static [&'static str], Phase, &str); 8] = [
        (Box::leak(Box::new([hello, "250-relay\r\n250 SIZE 1000\r\n"])), Phase::Tls, "does not offer STARTTLS"),
        (Box::leak(Box::new([hello, offers, "220 go\r\n250 injected\r\n"])), Phase::Tls, "tampering"),
        (Box::leak(Box::new([hello, offers, "454 TLS not available\r\n"])), Phase::Tls, "454"),
        (Box::leak(Box::new([hello, offers, "220 go\r\n", "plain text, no TLS\r\n"])), Phase::Tls, "handshake"),
        (Box::leak(Box::new([hello, "502 what?\r\n"])), Phase::Greeting, "502"),
        (Box::leak(Box::new(["554 go away\r\n"])), Phase::Greeting, "554"),
        (Box::leak(Box::new(["HTTP/1.1 400 Bad Request\r\n"])), Phase::Greeting, "does not speak SMTP"),
        (Box::leak(Box::new([hello, ""])), Phase::Greeting, "no answer"),
    ];
    for (script, phase, says) in table {
        let (outcome, heard) = talk(script).await;
        let failure = outcome.failure().unwrap();
        assert!(outcome.is_relay_trouble(), "{outcome:?}");
        assert_eq!(failure.phase, phase, "{outcome:?}");
        assert!(failure.reason.contains(says), "{}", failure.reason);
        assert!(!heard.contains("MAIL") && !heard.contains("AUTH"), "said in clear: {heard}");
    }
}
