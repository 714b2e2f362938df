//! An enrolled agent without a server, and a server that says what a test wants.
use super::platform::{self};
use super::progress::Silent;
use super::state::{Credentials, Enrollment, Marks, Roots, State};
use super::{Agent, Identity, Surroundings, protect};
use clock::Clock;
use domain::device::Ownership;
use domain::id::{DeviceId, RepositoryId};
use domain::time::Time;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::RepositoryCredentials;

pub const NOW: Time = Time::from_millis(1_795_356_371_000);

/// An address where nobody listens.
pub const NOWHERE: &str = "http://127.0.0.1:1";

/// Records an enrolment for the folders, as [`Agent::enroll`] does after the server's answer.
pub fn enrolled(state: &Path, server: &str, folders: &[PathBuf]) {
    let state = State::open(state).unwrap();
    state.put(&Identity::generate().unwrap()).unwrap();
    let mut marks = Marks::default();
    protect::invent(&mut marks, folders).unwrap();
    let roots = protect::mark(folders, &marks).unwrap().roots;
    state.put(&Roots { roots, mounts: false }).unwrap();
    let text = |it: &str| it.to_owned();
    state.put(&Credentials(RepositoryCredentials { token: text("t"), password: text("p") })).unwrap();
    let enrollment = Enrollment {
        server: text(server),
        ca: None,
        device_id: DeviceId::generate(NOW),
        name: text("laptop-1"),
        generation: 1,
        audience: text("a"),
        ownership: Ownership::Company,
        repository_id: RepositoryId::generate(NOW),
        repository_path: text("/restic/r/"),
        enrolled_at: NOW,
    };
    state.put(&enrollment).unwrap();
}

pub fn open(state: &Path, clock: &Clock, home: Option<PathBuf>) -> Agent {
    let progress = Arc::new(Silent);
    let around = Surroundings { platform: platform::this(), clock: clock.clone(), progress, home };
    Agent::open(State::open(state).unwrap(), around).unwrap()
}

/// Answers every request with what `answer` makes of its path and body, for as long as the test runs.
pub fn server(answer: impl Fn(&str, &[u8]) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut path, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end();
                if line.is_empty() {
                    break;
                }
                if path.is_empty() {
                    path = line.split(' ').nth(1).unwrap().to_owned();
                }
                let lower = line.to_lowercase();
                length = lower.strip_prefix("content-length: ").map_or(length, |it| it.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, text) = answer(&path, &body);
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            (&stream).write_all(&[head.as_bytes(), text.as_bytes()].concat()).unwrap();
        }
    });
    address
}
