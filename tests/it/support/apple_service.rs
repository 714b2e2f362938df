//! A server that speaks Apple's device-enrolment service on loopback, and misbehaves on request.
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that it was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Such as `POST /server/devices`.
    pub what: String,
    pub session: String,
    pub authorization: String,
    pub body: serde_json::Value,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<Asked>,
    /// Answers before the usual ones, for what begins with this.
    odd: VecDeque<(String, String)>,
    /// Pages of devices, each once; then empty ones.
    pages: VecDeque<String>,
    sessions: usize,
}

/// The service.
#[derive(Clone)]
pub struct AppleServiceServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl AppleServiceServer {
    /// Runs until the test process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let this = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream.unwrap()));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next page of devices: serial numbers, each with what happened to it.
    pub fn has(&self, devices: &[(&str, &str)], cursor: &str, more: bool) {
        let devices: Vec<_> = devices
            .iter()
            .map(|(serial, what)| {
                serde_json::json!({"serial_number": serial, "model": "iPhone 14", "description": "IPHONE 14 128GB",
                    "op_type": what, "op_date": "2026-11-20T00:00:00Z"})
            })
            .collect();
        let page = serde_json::json!({"devices": devices, "cursor": cursor, "more_to_follow": more,
            "fetched_until": "2026-11-20T00:00:00Z"});
        self.state.lock().unwrap().pages.push_back(page.to_string());
    }

    /// Answers the next request that begins with this otherwise: a status line's end, headers and a body.
    pub fn answers(&self, what: &str, status: &str, body: &str) {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        self.state.lock().unwrap().odd.push_back((what.to_owned(), answer));
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut what, mut length) = (String::new(), 0);
        let (mut session, mut authorization) = (String::new(), String::new());
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|it| it > 2) {
            let text = line.trim_end();
            if what.is_empty() {
                what = text.trim_end_matches(" HTTP/1.1").to_owned();
            } else if let Some((name, value)) = text.split_once(": ") {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "x-adm-auth-session" => session = value.to_owned(),
                    "authorization" => authorization = value.to_owned(),
                    _ => {}
                }
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() || what.is_empty() {
            return;
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let answer = self.answer(Asked { what, session, authorization, body });
        let _ = reader.into_inner().write_all(answer.as_bytes());
    }

    fn answer(&self, asked: Asked) -> String {
        let mut state = self.state.lock().unwrap();
        state.asked.push(asked.clone());
        if let Some(at) = state.odd.iter().position(|(what, _)| asked.what.starts_with(what)) {
            return state.odd.remove(at).unwrap().1;
        }
        let current = format!("session-{}", state.sessions);
        if asked.what != "GET /session" && asked.session != current {
            return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\nConnection: close\r\n\r\nUNAUTHORIZED"
                .to_owned();
        }
        let body = match asked.what.as_str() {
            "GET /session" => {
                state.sessions += 1;
                serde_json::json!({"auth_session_token": format!("session-{}", state.sessions)}).to_string()
            }
            "GET /account" => serde_json::json!({"org_name": "Example Ltd"}).to_string(),
            "POST /profile" => serde_json::json!({"profile_uuid": "profile-1"}).to_string(),
            "POST /server/devices" | "POST /devices/sync" => state.pages.pop_front().unwrap_or_else(|| {
                serde_json::json!({"devices": [], "cursor": "end", "more_to_follow": false}).to_string()
            }),
            "POST /profile/devices" => {
                let serials =
                    asked.body["devices"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
                let each: serde_json::Map<_, _> = serials.map(|it| (it, "SUCCESS".into())).collect();
                serde_json::json!({"profile_uuid": "profile-1", "devices": each}).to_string()
            }
            other => panic!("the documented API has no {other}"),
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    /// Ends the session, as Apple does after three minutes of silence.
    pub fn ends_session(&self) {
        self.state.lock().unwrap().sessions += 100;
    }
}
