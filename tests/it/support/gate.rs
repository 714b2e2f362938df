//! A door in front of a server that can be shut: the network between.
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Clone)]
enum Rule {
    Pass,
    /// Every connection is cut.
    Closed,
    /// Requests whose first line has the text are cut; the others pass.
    Refuse(String),
    /// The next such request is cut; then all pass.
    RefuseOnce(String),
    /// Such a request reaches the server, and its answer is lost.
    Lose(String),
    /// Every request reaches the server twice, and the second answer is passed on.
    Twice,
    /// Such a request is kept waiting forever, and reported.
    Stall(String, Sender<()>),
}

/// Listeners that are kept for gates, by the server behind them: agents enroll only with an address that their server
/// was told when it started.
static RESERVED: Mutex<Vec<(SocketAddr, TcpListener)>> = Mutex::new(Vec::new());

/// Keeps an address for a gate in front of a server.
pub fn reserve(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    RESERVED.lock().unwrap().push((server, listener));
    address
}

/// The listener kept for a server, once.
pub fn reserved(server: SocketAddr) -> Option<TcpListener> {
    let mut kept = RESERVED.lock().unwrap();
    let at = kept.iter().position(|(it, _)| *it == server)?;
    Some(kept.swap_remove(at).1)
}

/// A relay to a server.
pub struct Gate {
    address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    rule: Arc<Mutex<Rule>>,
}

impl Gate {
    /// Opens one.
    pub fn to(server: SocketAddr) -> Self {
        let listener = reserved(server).unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let rule = Arc::new(Mutex::new(Rule::Pass));
        let server = Arc::new(Mutex::new(server));
        let (rules, servers) = (Arc::clone(&rule), Arc::clone(&server));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (rules, server) = (Arc::clone(&rules), *servers.lock().unwrap());
                std::thread::spawn(move || relay(stream.unwrap(), server, &rules));
            }
        });
        Self { address, server, rule }
    }

    /// From now on another server is behind it.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap() = server;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets everything pass.
    pub fn open(&self) {
        *self.rule.lock().unwrap() = Rule::Pass;
    }

    /// Cuts everything.
    pub fn close(&self) {
        *self.rule.lock().unwrap() = Rule::Closed;
    }

    /// Cuts requests that have `text` in their first line.
    pub fn refuse(&self, text: &str) {
        *self.rule.lock().unwrap() = Rule::Refuse(text.to_owned());
    }

    /// Cuts the next request that has `text` in its first line.
    pub fn refuse_once(&self, text: &str) {
        *self.rule.lock().unwrap() = Rule::RefuseOnce(text.to_owned());
    }

    /// Whether a request was cut by [`Gate::refuse_once`] and all pass again.
    pub fn is_open(&self) -> bool {
        matches!(*self.rule.lock().unwrap(), Rule::Pass)
    }

    /// Sends every request twice, and answers with the second answer.
    pub fn duplicate(&self) {
        *self.rule.lock().unwrap() = Rule::Twice;
    }

    /// Loses the answers to requests that have `text` in their first line.
    pub fn lose(&self, text: &str) {
        *self.rule.lock().unwrap() = Rule::Lose(text.to_owned());
    }

    /// Keeps requests waiting that have `text` in their first line; says when one came.
    pub fn stall(&self, text: &str) -> Receiver<()> {
        let (sender, receiver) = channel();
        *self.rule.lock().unwrap() = Rule::Stall(text.to_owned(), sender);
        receiver
    }
}

/// One request per connection, so that each meets the rule in force at that moment.
fn relay(mut client: TcpStream, server: SocketAddr, rule: &Mutex<Rule>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let mut now = rule.lock().unwrap();
    let rule = now.clone();
    let mut is_lost = false;
    match rule {
        Rule::RefuseOnce(text) if first.contains(&text) => {
            *now = Rule::Pass;
            return;
        }
        Rule::Twice => {
            drop(now);
            return relay_twice(client, server, &head);
        }
        Rule::Closed => return,
        Rule::Refuse(text) if first.contains(&text) => return,
        Rule::Lose(text) => {
            drop(now);
            is_lost = first.contains(&text);
        }
        Rule::Stall(text, told) if first.contains(&text) => {
            drop(now);
            let _ = told.send(());
            // Until the client is gone.
            let _ = client.read_to_end(&mut Vec::new());
            return;
        }
        Rule::Pass | Rule::Refuse(_) | Rule::RefuseOnce(_) | Rule::Stall(..) => drop(now),
    }
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    let close = b"\r\nConnection: close\r\n\r\n";
    head.truncate(head.len() - 4);
    let _ = upstream.write_all(&[&head[..], close].concat());
    let (mut body, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    let up = std::thread::spawn(move || std::io::copy(&mut body, &mut to));
    let _ = if is_lost {
        std::io::copy(&mut upstream, &mut std::io::sink())
    } else {
        std::io::copy(&mut upstream, &mut client)
    };
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
}

/// Sends the request over two connections at once, as a proxy does that retries too early.
fn relay_twice(mut client: TcpStream, server: SocketAddr, head: &[u8]) {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let length = text.lines().find_map(|it| it.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if text.contains("expect: 100-continue") {
        let _ = client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    if client.read_exact(&mut body).is_err() {
        return;
    }
    let whole = [head.strip_suffix(b"\r\n\r\n").unwrap(), b"\r\nConnection: close\r\n\r\n", &body].concat();
    let send = || {
        let mut upstream = TcpStream::connect(server)?;
        upstream.write_all(&whole)?;
        Ok::<_, std::io::Error>(upstream)
    };
    let (Ok(mut first), Ok(mut second)) = (send(), send()) else { return };
    let unread = std::thread::spawn(move || std::io::copy(&mut first, &mut std::io::sink()));
    let _ = std::io::copy(&mut second, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = unread.join();
}
