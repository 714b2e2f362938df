//! The smallest server that SCEP clients can talk to.
use crate::tool::{LONG, NOW};
use holdfast_apple::certificate::{Authority, Certificate, Leaf, Registrar, Strength};
use holdfast_apple::scep::{
    FailInfo, Kind, Message, Operation, Outcome, Request, authority_certificates, capabilities, reply,
};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What the server tells its test.
#[derive(Debug)]
pub struct Seen {
    pub method: String,
    pub query: usize,
    pub kind: Kind,
    pub challenge: Option<String>,
    pub status: &'static str,
}

pub struct Server {
    pub address: SocketAddr,
    pub seen: Receiver<Seen>,
}

/// How it answers.
pub struct Rules {
    pub authority: Authority,
    pub registrar: Registrar,
    /// Capabilities that are not listed.
    pub without: &'static [&'static str],
    /// How often a client has to ask until it gets its certificate.
    pub delays: usize,
}

struct State {
    rules: Rules,
    waiting: HashMap<String, Request>,
    delays: usize,
    seen: Sender<Seen>,
}

impl Server {
    /// Ends with the test's process.
    pub fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let delays = rules.delays;
            let mut state = State { rules, waiting: HashMap::new(), delays, seen: sender };
            for stream in listener.incoming() {
                state.serve(stream.unwrap());
            }
        });
        Self { address, seen }
    }
}

impl State {
    fn serve(&mut self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
        let mut len = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        let (kind, answer) = self.answer(method, target.split_once('?').unwrap().1, &body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        let mut stream = stream;
        stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
    }

    fn answer(&mut self, method: &str, query: &str, body: &[u8]) -> (&'static str, Vec<u8>) {
        match Operation::parse(query, body).unwrap() {
            Operation::Capabilities => {
                let lines = capabilities(Strength::WithLegacy).lines().filter(|it| !self.rules.without.contains(it));
                ("text/plain", lines.collect::<Vec<_>>().join("\n").into_bytes())
            }
            Operation::Certificates => {
                let both = authority_certificates(&self.rules.registrar, self.rules.authority.certificate());
                ("application/x-x509-ca-ra-cert", both.unwrap())
            }
            Operation::Message(bytes) => {
                let message = Message::parse(&bytes, Strength::WithLegacy).unwrap();
                let mut seen = Seen {
                    method: method.to_owned(),
                    query: query.len(),
                    kind: message.kind,
                    challenge: None,
                    status: "",
                };
                let answer = self.message(&message, &mut seen);
                self.seen.send(seen).unwrap();
                ("application/x-pki-message", answer)
            }
        }
    }

    fn message(&mut self, message: &Message, seen: &mut Seen) -> Vec<u8> {
        let registrar = &self.rules.registrar;
        let request = match message.kind {
            Kind::Enroll | Kind::Renew => message.request(registrar).unwrap(),
            Kind::Poll => self.waiting.remove(&message.transaction).unwrap(),
            Kind::Certificate | Kind::Revoked => panic!("no client of ours asks for {:?}", message.kind),
        };
        seen.challenge = request.challenge.as_ref().map(|it| it.to_string());
        let is_entitled = match message.kind {
            Kind::Renew => self.rules.authority.check(Some(message.requester.der()), NOW).is_ok(),
            Kind::Enroll | Kind::Poll => seen.challenge.as_deref() == Some("secret"),
            Kind::Certificate | Kind::Revoked => false,
        };
        if !is_entitled {
            seen.status = "failed";
            return reply(message, registrar, &Outcome::Failed(FailInfo::BadRequest)).unwrap();
        }
        if self.delays > 0 {
            self.delays -= 1;
            seen.status = "pending";
            self.waiting.insert(message.transaction.clone(), request);
            return reply(message, registrar, &Outcome::Pending).unwrap();
        }
        seen.status = "issued";
        let certificate = self.issue(&request);
        reply(message, registrar, &Outcome::Issued(&certificate, &request)).unwrap()
    }

    fn issue(&self, request: &Request) -> Certificate {
        let leaf = Leaf {
            public_key: &request.public_key,
            common_name: "chosen by us",
            organization: None,
            names: &[],
            validity: LONG,
        };
        self.rules.authority.issue_leaf(&leaf).unwrap()
    }
}
