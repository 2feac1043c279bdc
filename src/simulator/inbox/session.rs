//! One connection of the inbox.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::behaviour::Behaviour;
use super::lines::{self, Body};
use super::{MAX_MAIL, Received, Shared, Trouble};

const SLOW: Duration = Duration::from_millis(50);
/// How much of a body is read at most before the connection is dropped in its middle.
const BODY_BEFORE_DROP: usize = 256;

/// Serves a connection to its end. How it ended shows in what was recorded.
pub(super) async fn run(stream: TcpStream, shared: Arc<Shared>) {
    let number = {
        let mut state = shared.state();
        let connections = &mut state.connections;
        connections.open += 1;
        connections.total += 1;
        connections.most = connections.most.max(connections.open);
        connections.total
    };
    let _open = Open(Arc::clone(&shared));
    let mut session = Session {
        stream: BufReader::new(stream),
        authenticated: shared.options.credentials.is_none(),
        shared,
        number,
        greeted: false,
        from: None,
        to: Vec::new(),
    };
    if let Err(error) = session.talk().await {
        tracing::debug!(connection.number = number, %error, "a connection of the inbox broke");
    }
}

/// Counts the connection as closed when dropped.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().connections.open -= 1;
    }
}

struct Session {
    stream: BufReader<TcpStream>,
    shared: Arc<Shared>,
    number: usize,
    greeted: bool,
    authenticated: bool,
    from: Option<String>,
    to: Vec<String>,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
}

impl Session {
    async fn talk(&mut self) -> io::Result<()> {
        match self.trouble() {
            Some(Trouble::RefuseConnections) => {
                self.say("554 5.3.2 inbox.localhost takes no connections").await?;
                return Ok(());
            }
            Some(Trouble::NoGreeting) => return self.hang().await,
            Some(Trouble::RefuseSender | Trouble::NoEhlo) | None => {
                self.say("220 inbox.localhost ESMTP simulator").await?;
            }
        }
        loop {
            let line = match lines::command(&mut self.stream).await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.say("500 5.5.6 Line too long").await.map(drop);
                }
                Err(error) => return Err(error),
            };
            if self.obey(&line).await? == Then::Close {
                return self.stream.shutdown().await;
            }
        }
    }

    async fn obey(&mut self, line: &str) -> io::Result<Then> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.ehlo().await,
            "HELO" => {
                self.greeted = true;
                self.say("250 inbox.localhost").await
            }
            "AUTH" => self.auth(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 2.0.0 Ok").await
            }
            "NOOP" => self.say("250 2.0.0 Ok").await,
            "VRFY" => self.say("252 2.0.0 Send some mail, I'll try my best").await,
            "QUIT" => {
                self.say("221 2.0.0 Bye").await?;
                Ok(Then::Close)
            }
            _ => self.say("502 5.5.2 Command not recognized").await,
        }
    }

    async fn ehlo(&mut self) -> io::Result<Then> {
        if self.trouble() == Some(Trouble::NoEhlo) {
            return self.say("502 5.5.1 EHLO not implemented").await;
        }
        self.greeted = true;
        self.reset();
        let auth = if self.shared.options.credentials.is_some() { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
        self.say(&format!("250-inbox.localhost\r\n250-PIPELINING\r\n250-SIZE {MAX_MAIL}\r\n{auth}250 8BITMIME")).await
    }

    async fn auth(&mut self, rest: &str) -> io::Result<Then> {
        let Some(wanted) = self.shared.options.credentials.clone() else {
            return self.say("502 5.5.1 AUTH not offered").await;
        };
        let (mechanism, first) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let answer = if first.is_empty() { self.ask("").await? } else { Some(first.to_owned()) };
                let plain = answer.and_then(|answer| decode(&answer));
                plain.and_then(|plain| {
                    let mut parts = plain.splitn(3, '\0').skip(1).map(str::to_owned);
                    Some((parts.next()?, parts.next()?))
                })
            }
            "LOGIN" => {
                let name = if first.is_empty() { self.ask("VXNlcm5hbWU6").await? } else { Some(first.to_owned()) };
                let password = self.ask("UGFzc3dvcmQ6").await?;
                name.as_deref().and_then(decode).zip(password.as_deref().and_then(decode))
            }
            _ => return self.say("504 5.5.4 Unrecognized authentication type").await,
        };
        match given {
            None => self.say("501 5.5.2 Cannot decode response").await,
            Some((name, password)) if name == wanted.username && password == wanted.password => {
                self.authenticated = true;
                self.say("235 2.7.0 Authentication successful").await
            }
            // As some servers do, it repeats what the client said.
            Some((_, password)) => {
                self.say(&format!("535 5.7.8 Authentication credentials invalid: AUTH {rest} ({password})")).await
            }
        }
    }

    /// Asks on and returns the answer, if there is one.
    async fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.say(&format!("334 {prompt}")).await?;
        lines::command(&mut self.stream).await
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Then> {
        if self.trouble() == Some(Trouble::RefuseSender) {
            return self.say("550 5.7.60 Client does not have permissions to send as this sender").await;
        }
        if !self.greeted {
            return self.say("503 5.5.1 Send EHLO first").await;
        }
        if !self.authenticated {
            return self.say("530 5.7.0 Authentication required").await;
        }
        if self.from.is_some() {
            return self.say("503 5.5.1 Nested MAIL command").await;
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 Syntax: MAIL FROM:<address>").await;
        };
        let size = parameters
            .split(' ')
            .find_map(|parameter| parameter.to_ascii_uppercase().strip_prefix("SIZE=")?.parse().ok());
        if size.is_some_and(|size: usize| size > MAX_MAIL) {
            return self.say("552 5.3.4 Message size exceeds fixed limit").await;
        }
        self.from = Some(from.to_owned());
        self.say("250 2.1.0 Ok").await
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<Then> {
        if self.from.is_none() {
            return self.say("503 5.5.1 Need MAIL command").await;
        }
        let Some((to, _)) = path(rest, "TO:").filter(|(to, _)| to.contains('@')) else {
            return self.say("501 5.5.4 Syntax: RCPT TO:<address>").await;
        };
        let to = to.to_owned();
        self.shared.state().asked.push(to.clone());
        match Behaviour::of(&to) {
            Behaviour::Reject => {
                return self.say(&format!("550 5.1.1 <{to}>: Recipient address rejected: User unknown")).await;
            }
            Behaviour::TempFail => return self.say("451 4.3.0 Temporary lookup failure").await,
            Behaviour::Greylist if self.first_time(&to) => {
                return self.say("451 4.7.1 Greylisted, please try again later").await;
            }
            Behaviour::Full => return self.say("452 4.2.2 The recipient's mailbox is full").await,
            Behaviour::DropRcpt => return Ok(Then::Close),
            Behaviour::HangRcpt => {
                self.hang().await?;
                return Ok(Then::Close);
            }
            Behaviour::Close421 => {
                self.say("421 4.3.2 Service shutting down").await?;
                return Ok(Then::Close);
            }
            _ => {}
        }
        self.to.push(to);
        self.say("250 2.1.5 Ok").await
    }

    async fn data(&mut self) -> io::Result<Then> {
        if self.to.is_empty() {
            let reply =
                if self.from.is_none() { "503 5.5.1 Need MAIL command" } else { "554 5.5.1 No valid recipients" };
            return self.say(reply).await;
        }
        if self.asks(Behaviour::DataReject) {
            self.reset();
            return self.say("554 5.7.1 Message refused").await;
        }
        self.say("354 End data with <CR><LF>.<CR><LF>").await?;
        if self.asks(Behaviour::DropData) {
            // At least one byte of it, so that a short body does not wait for ever.
            let _ = self.stream.read(&mut [0; BODY_BEFORE_DROP]).await?;
            return Ok(Then::Close);
        }
        match lines::body(&mut self.stream).await? {
            Body::Whole(data) => self.dot(data).await,
            Body::TooLarge => {
                self.reset();
                self.say("552 5.3.4 Message too big").await
            }
            Body::Cut => Ok(Then::Close),
        }
    }

    /// Answers the final dot.
    async fn dot(&mut self, data: Vec<u8>) -> io::Result<Then> {
        let odd = self.to.iter().map(|to| (to.clone(), Behaviour::of(to)));
        let odd = odd.into_iter().find(|(_, behaviour)| !matches!(behaviour, Behaviour::Accept | Behaviour::Slow));
        let (first, behaviour) = odd.unwrap_or((String::new(), Behaviour::Accept));
        let refusal = match behaviour {
            Behaviour::DotReject => Some("554 5.7.1 Message rejected as spam"),
            Behaviour::DotTempFail => Some("451 4.3.0 Queue file write error"),
            Behaviour::Dot354 => Some("354 Go on"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.reset();
            return self.say(refusal).await;
        }
        if behaviour == Behaviour::HangDot {
            self.hang().await?;
            return Ok(Then::Close);
        }
        let drops = behaviour == Behaviour::DropDot || (behaviour == Behaviour::DropDotOnce && self.first_time(&first));
        let cuts = behaviour == Behaviour::CutDot;
        let mail = Received {
            id: String::new(),
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            data,
            at_connection: self.number,
            answered: !drops && !cuts,
            path: None,
        };
        let slow = mail.to.iter().any(|to| Behaviour::of(to) == Behaviour::Slow);
        let Ok(id) = self.shared.keep(mail).await else {
            return self.say("451 4.3.0 Cannot write the file").await;
        };
        if cuts {
            self.stream.write_all(b"250 2.0.0 que").await?;
        }
        if drops || cuts {
            return Ok(Then::Close);
        }
        if slow {
            tokio::time::sleep(SLOW).await;
        }
        self.say(&format!("250 2.0.0 Ok: queued as {id}")).await
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.state().trouble
    }

    fn asks(&self, behaviour: Behaviour) -> bool {
        self.to.iter().any(|to| Behaviour::of(to) == behaviour)
    }

    /// Whether the address's one-time behaviour is due; it is not again.
    fn first_time(&self, address: &str) -> bool {
        self.shared.state().seen.insert(address.to_ascii_lowercase())
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn say(&mut self, reply: &str) -> io::Result<Then> {
        if self.asks(Behaviour::Slow) {
            tokio::time::sleep(SLOW).await;
        }
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        Ok(Then::GoOn)
    }

    /// Says nothing more until the client goes.
    async fn hang(&mut self) -> io::Result<()> {
        let mut ignored = [0; 4096];
        while self.stream.read(&mut ignored).await? > 0 {}
        Ok(())
    }
}

/// The address between the angle brackets, and the parameters behind it.
fn path<'a>(rest: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = rest.split_at_checked(word.len())?;
    let tail = head.eq_ignore_ascii_case(word).then(|| tail.trim_start())?;
    let (address, parameters) = tail.strip_prefix('<')?.split_once('>')?;
    Some((address, parameters.trim()))
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}
