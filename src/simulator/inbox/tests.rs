use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;

const MAIL: &str = "Subject: Invoice\r\n\r\n..stuffed\r\n";

struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects and waits for the greeting.
    async fn new(inbox: &Inbox) -> Self {
        let mut client = Self::silent(inbox).await;
        assert_eq!(client.reply().await, "220 inbox.localhost ESMTP simulator\r\n");
        client
    }

    async fn silent(inbox: &Inbox) -> Self {
        Self(BufReader::new(TcpStream::connect(inbox.addr()).await.unwrap()))
    }

    /// The last line of the next reply, or what came of it before the connection ended.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            // A connection closed over unread bytes is reset: to the client it ended, too.
            let _ = timeout(Duration::from_secs(5), self.0.read_line(&mut line)).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn say(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await
    }

    async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(100), self.0.read_u8()).await.is_err()
    }

    /// One mail to the recipient: the replies to `RCPT`, `DATA` and the dot, as far as it comes.
    async fn deliver(&mut self, to: &str) -> [String; 3] {
        let mut replies = [const { String::new() }; 3];
        assert!(self.say("EHLO test").await.starts_with("250"));
        assert!(self.say("MAIL FROM:<a@b.example> SIZE=10").await.starts_with("250"));
        replies[0] = self.say(&format!("RCPT TO:<{to}>")).await;
        if replies[0].starts_with("250") {
            replies[1] = self.say("DATA").await;
        }
        if replies[1].starts_with("354") {
            replies[2] = self.say(&format!("{MAIL}.")).await;
        }
        replies
    }
}

async fn inbox() -> Inbox {
    Inbox::start(Options::default()).await.unwrap()
}

/// A mail to `name@contoso.example` over a connection of its own.
async fn deliver(inbox: &Inbox, name: &str) -> [String; 3] {
    Client::new(inbox).await.deliver(&format!("{name}@contoso.example")).await
}

#[tokio::test]
async fn a_mail_is_kept_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::start(Options { folder: Some(folder.path().join("mail")), ..Options::default() }).await.unwrap();
    let mut client = Client::new(&inbox).await;
    let [rcpt, data, dot] = client.deliver("ap@contoso.example").await;
    assert!(rcpt.starts_with("250 2.1.5") && data.starts_with("354 "), "{rcpt}{data}");
    let [mail] = inbox.messages().try_into().unwrap();
    assert_eq!(dot, format!("250 2.0.0 Ok: queued as {}\r\n", mail.id));
    assert_eq!((mail.from.as_str(), mail.to), ("a@b.example", vec!["ap@contoso.example".to_owned()]));
    assert_eq!((mail.at_connection, mail.answered), (1, true));
    assert_eq!(mail.data, b"Subject: Invoice\r\n\r\n.stuffed\r\n");
    let path = mail.path.unwrap();
    assert_eq!(path, folder.path().join("mail").join("0001-ap@contoso.example.eml"));
    assert_eq!(std::fs::read(path).unwrap(), mail.data);
    client.deliver("../\u{e9}/x@y").await;
    let path = inbox.messages()[1].path.clone().unwrap();
    assert_eq!(path, folder.path().join("mail").join("0002-..___x@y.eml"));
}

#[tokio::test]
async fn commands_may_come_all_at_once() {
    let inbox = inbox().await;
    let mut client = Client::new(&inbox).await;
    client.say("EHLO test").await;
    client.send("MAIL FROM:<>\r\nRCPT TO:<reject@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n").await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(client.reply().await[..3].to_owned());
    }
    assert_eq!(codes, ["250", "550", "250", "354"]);
    client.send(&format!("{MAIL}.\r\nQUIT\r\n")).await;
    assert!(client.reply().await.starts_with("250 "));
    assert!(client.reply().await.starts_with("221 "));
    assert_eq!(client.reply().await, "");
    assert_eq!(inbox.messages()[0].to, ["b@x.example"]);
    assert_eq!(inbox.asked(), ["reject@x.example", "b@x.example"]);
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let inbox = inbox().await;
    let mut client = Client::new(&inbox).await;
    for (line, code) in [
        ("MAIL FROM:<a@b>", "503"),
        ("HELO test", "250"),
        ("RCPT TO:<a@b>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:a@b", "501"),
        ("MAIL FROM:<a@b> SIZE=67108865", "552"),
        ("MAIL FROM:<a@b> SIZE=67108864 BODY=8BITMIME", "250"),
        ("MAIL FROM:<a@b>", "503"),
        ("RCPT TO:<nobody>", "501"),
        ("DATA", "554"),
        ("RSET", "250"),
        ("DATA", "503"),
        ("AUTH PLAIN", "502"),
        ("BDAT 3", "502"),
        ("NOOP", "250"),
    ] {
        let reply = client.say(line).await;
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
}

#[tokio::test]
async fn recipients_are_refused_as_their_name_says() {
    let inbox = inbox().await;
    for (name, reply) in [
        ("reject", "550 5.1.1 "),
        ("Reject+tag", "550 5.1.1 "),
        ("tempfail", "451 4.3.0 "),
        ("tempfail", "451 4.3.0 "),
        ("full", "452 4.2.2 "),
        ("greylist", "451 4.7.1 "),
        ("greylist", "250 "),
        ("rejected", "250 "),
    ] {
        let [rcpt, ..] = deliver(&inbox, name).await;
        assert!(rcpt.starts_with(reply), "{name}: {rcpt}");
    }
    assert_eq!(inbox.count(), 2);
    assert_eq!(inbox.asked().len(), 8);
}

#[tokio::test]
async fn data_and_dot_are_refused_as_the_name_says() {
    let inbox = inbox().await;
    assert!(deliver(&inbox, "data-reject").await[1].starts_with("554 "));
    assert!(deliver(&inbox, "dot-reject").await[2].starts_with("554 5.7.1 "));
    assert!(deliver(&inbox, "dot-tempfail").await[2].starts_with("451 "));
    let mut client = Client::new(&inbox).await;
    assert!(client.deliver("dot-354@x.example").await[2].starts_with("354 "));
    assert!(client.deliver("a@x.example").await[2].starts_with("250 "), "the session goes on");
    assert_eq!(inbox.count(), 1);
}

#[tokio::test]
async fn connections_break_where_the_name_says() {
    let inbox = inbox().await;
    assert_eq!(deliver(&inbox, "drop-rcpt").await[0], "");
    let [_, data, dot] = deliver(&inbox, "drop-data").await;
    assert_eq!((&data[..3], dot.as_str()), ("354", ""));
    assert!(deliver(&inbox, "close-421").await[0].starts_with("421 4.3.2 "));
    assert_eq!(inbox.count(), 0);
}

#[tokio::test]
async fn a_mail_may_be_taken_without_an_answer() {
    let inbox = inbox().await;
    assert_eq!(deliver(&inbox, "drop-dot").await[2], "");
    assert_eq!(deliver(&inbox, "cut-dot").await[2], "250 2.0.0 que");
    assert_eq!(deliver(&inbox, "drop-dot-once").await[2], "");
    assert!(deliver(&inbox, "drop-dot-once").await[2].starts_with("250 2.0.0 Ok: queued as "));
    let answered: Vec<_> = inbox.messages().iter().map(|mail| mail.answered).collect();
    assert_eq!(answered, [false, false, false, true]);
}

#[tokio::test]
async fn it_may_hang() {
    let inbox = inbox().await;
    for (name, ready) in [("hang-rcpt", false), ("hang-dot", true)] {
        let mut client = Client::new(&inbox).await;
        client.say("EHLO test").await;
        client.say("MAIL FROM:<a@b>").await;
        client.send(&format!("RCPT TO:<{name}@x.example>\r\n")).await;
        if ready {
            client.reply().await;
            client.say("DATA").await;
            client.send(&format!("{MAIL}.\r\n")).await;
        }
        assert!(client.is_silent().await, "{name}");
    }
    assert_eq!(inbox.count(), 0);
}

#[tokio::test]
async fn slow_answers_late() {
    let inbox = inbox().await;
    let started = Instant::now();
    assert!(deliver(&inbox, "slow").await[2].starts_with("250 "));
    assert!(started.elapsed() >= Duration::from_millis(150), "RCPT, DATA and dot");
}

#[tokio::test]
async fn mail_wants_a_sign_in_where_one_is_set() {
    let credentials = Some(Credentials { username: "mailer".into(), password: "s3cret".into() });
    let inbox = Inbox::start(Options { credentials, ..Options::default() }).await.unwrap();
    let plain = |password: &str| STANDARD.encode(format!("\0mailer\0{password}"));
    let mut client = Client::new(&inbox).await;
    client.say("EHLO test").await;
    assert!(client.say("MAIL FROM:<a@b>").await.starts_with("530 "));
    assert!(client.say(&format!("AUTH PLAIN {}", plain("wrong"))).await.starts_with("535 5.7.8 "));
    assert!(client.say("AUTH PLAIN !").await.starts_with("501 "));
    assert!(client.say("AUTH XOAUTH2 x").await.starts_with("504 "));
    assert!(client.say("MAIL FROM:<a@b>").await.starts_with("530 "));
    assert_eq!(client.say("AUTH PLAIN").await, "334 \r\n");
    assert!(client.say(&plain("s3cret")).await.starts_with("235 "));
    assert!(client.deliver("a@x.example").await[2].starts_with("250 "));

    let mut client = Client::new(&inbox).await;
    client.say("EHLO test").await;
    assert_eq!(client.say("AUTH LOGIN").await, "334 VXNlcm5hbWU6\r\n");
    assert_eq!(client.say(&STANDARD.encode("mailer")).await, "334 UGFzc3dvcmQ6\r\n");
    assert!(client.say(&STANDARD.encode("s3cret")).await.starts_with("235 "));
}

#[tokio::test]
async fn what_it_can_is_announced() {
    let inbox = inbox().await;
    let mut client = Client::new(&inbox).await;
    client.send("EHLO test\r\n").await;
    let mut lines = Vec::new();
    for _ in 0..4 {
        let mut line = String::new();
        client.0.read_line(&mut line).await.unwrap();
        lines.push(line.trim_end().to_owned());
    }
    assert_eq!(lines, ["250-inbox.localhost", "250-PIPELINING", "250-SIZE 67108864", "250 8BITMIME"]);
}

#[tokio::test]
async fn the_whole_server_may_be_in_trouble() {
    let inbox = inbox().await;
    inbox.set_trouble(Some(Trouble::RefuseConnections));
    let mut client = Client::silent(&inbox).await;
    assert!(client.reply().await.starts_with("554 "));
    assert_eq!(client.reply().await, "");
    inbox.set_trouble(Some(Trouble::NoGreeting));
    assert!(Client::silent(&inbox).await.is_silent().await);
    inbox.set_trouble(Some(Trouble::NoEhlo));
    let mut client = Client::new(&inbox).await;
    assert!(client.say("EHLO test").await.starts_with("502 "));
    assert!(client.say("HELO test").await.starts_with("250 "));
    inbox.set_trouble(Some(Trouble::RefuseSender));
    assert!(client.say("MAIL FROM:<a@b>").await.starts_with("550 5.7.60 "));
    inbox.set_trouble(None);
    assert!(client.say("MAIL FROM:<a@b>").await.starts_with("250 "));
}

#[tokio::test]
async fn connections_are_counted_and_mails_waited_for() {
    let inbox = inbox().await;
    let (mut one, two) = (Client::new(&inbox).await, Client::new(&inbox).await);
    assert_eq!(inbox.connections(), Connections { open: 2, total: 2, most: 2 });
    drop(two);
    while inbox.connections().open > 1 {
        tokio::task::yield_now().await;
    }
    let (replies, ()) = tokio::join!(one.deliver("a@x.example"), inbox.wait_for(1));
    assert!(replies[2].starts_with("250 "));
    let three = Client::new(&inbox).await;
    assert_eq!(inbox.connections(), Connections { open: 2, total: 3, most: 2 });
    assert_eq!(inbox.messages()[0].at_connection, 1);
    drop((three, inbox));
    assert_eq!(one.reply().await, "", "it stops when dropped");
}
