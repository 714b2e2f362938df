//! Strangers and noisy devices: what they may hold, and that people still get their pages.
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::Visit;
use domain::activity::Action;
use domain::object::{ObjectName, TokenKind};
use domain::role::Role;
use domain::time::days;
use holdfast::traffic::crowd::{Crowd, Room};
use holdfast::traffic::pace::Least;
use holdfast::{service, store};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use wire::WAIT;

const ROOM: Room = Room { all: 60, address: 40, owner: 8, devices: 40 };

/// A server with little room, as with a low limit of open files.
fn small() -> TestServer {
    TestServer::changed(|app| {
        app.crowd = Crowd::new(ROOM, Vec::new());
        app.least = Least { grace: Duration::from_millis(300), rate: 64 << 10 };
    })
}

fn silent(server: &TestServer, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(server.address).unwrap()).collect()
}

#[test]
fn pages_answer_while_strangers_hold_silent_connections() {
    let server = small();
    let visit = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let began = Instant::now();

    let _held: Vec<_> = (0..5)
        .map(|_| {
            let held = silent(&server, 100);
            assert_eq!(visit.get("/devices").status, 200);
            assert_eq!(server.request("GET", "/health", &[], b"").status, 200);
            held
        })
        .collect();

    assert!(server.app.crowd.len() <= 2 * ROOM.all + 2, "{}", server.app.crowd.len());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_body_that_trickles_is_broken_off_on_every_kind_of_route() {
    let server = small();
    let device = SimDevice::join(&server);
    let visit = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let csrf = visit.cookie();
    let bearer =
        format!("Bearer {}", device.token(server.app.clock.now(), "POST", "/agent/v1/check-in", b"never sent"));
    for (path, headers) in [
        ("/sign-in", vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())]),
        ("/account", vec![("Cookie", csrf), ("Content-Type", "application/x-www-form-urlencoded".to_owned())]),
        ("/agent/v1/enroll", vec![]),
        ("/agent/v1/check-in", vec![("Authorization", bearer)]),
    ] {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(client, "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000\r\n{headers}\r\nx", server.address)
            .unwrap();
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();

        assert!(read.is_ok(), "{path}: nothing came: {read:?}");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}

#[test]
fn a_device_that_waits_twice_ends_its_first_wait() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| device.wait(&server, 50));
        while !server.app.wake.has_waiting_devices() {
            std::thread::yield_now();
        }
        let second = device.wait(&server, 1);
        (first.join().unwrap(), second)
    });

    assert_eq!((first.status, second.status), (503, 200));
    assert!(!first.header("retry-after").is_empty());
}

#[test]
fn snapshots_without_end_do_not_flood_the_history() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let (id, now) = (device.id(), server.app.clock.now());

    server.act(move |conn| {
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        for at in 0_u32..250 {
            let name = ObjectName::from_hash(&secret::sha256(&at.to_be_bytes()));
            service::backup::snapshot_received(conn, &repository, &name, TokenKind::Agent, now)?;
        }
        Ok(())
    });

    let entries = server.read(|conn| Ok(store::activity::all(conn)?));
    let stored: Vec<_> = entries.iter().filter(|it| it.action == Action::BackupStored).collect();
    assert_eq!(stored.len(), 101);
    assert!(stored[100].reason.contains("last entry of its kind"), "{}", stored[100].reason);
    server.app.clock.advance(days(1));
    let later = server.app.clock.now();
    server.act(move |conn| {
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        let name = ObjectName::from_hash(&secret::sha256(b"tomorrow"));
        service::backup::snapshot_received(conn, &repository, &name, TokenKind::Agent, later)
    });
    let entries = server.read(|conn| Ok(store::activity::all(conn)?));
    assert_eq!(entries.iter().filter(|it| it.action == Action::BackupStored).count(), 102, "the next day begins anew");
}

/// Sends a byte now and then while the other side listens; returns what it said at last.
fn trickle(client: &mut TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (began, mut answer, mut piece) = (Instant::now(), Vec::new(), [0; 4096]);
    loop {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // It fails once the other side has gone, which the next read shows.
                let _ = client.write_all(b"x");
            }
            Err(_) => break,
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is still being listened to");
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_head_that_trickles_is_broken_off() {
    let server = small();
    let mut client = TcpStream::connect(server.address).unwrap();
    client.write_all(b"GET /health HTTP/1.1\r\nX-Slow: ").unwrap();

    let answer = trickle(&mut client);

    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// A connection from an address of its own, as a stranger's in another network.
fn from(last: u8, server: &TestServer) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    connect(&socket, &server.address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// One request on a connection that stays open; 0 if nothing comes back.
fn asks(client: &mut TcpStream, path: &str, header: &str) -> u16 {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    let _ = write!(client, "GET {path} HTTP/1.1\r\nHost: holdfast\r\n{header}\r\n");
    while !answer.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            _ => return 0,
        }
    }
    let head = String::from_utf8(answer).unwrap();
    let length = crate::support::http::header(&head, "content-length").parse().unwrap();
    client.read_exact(&mut vec![0; length]).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_person_and_a_device_keep_their_connections_while_strangers_ask_from_everywhere() {
    let room = Room { all: 6, address: 4, owner: 4, devices: 4 };
    for is_person in [true, false] {
        let server = TestServer::changed(|app| app.crowd = Crowd::new(room, Vec::new()));
        let visit = Visit::of(&server, colleague(&server, "ada", Role::Owner));
        let device = SimDevice::join(&server);
        let known = |client: &mut TcpStream| {
            let token = device.token(server.app.clock.now(), "GET", WAIT, b"");
            match is_person {
                true => asks(client, "/account", &format!("Cookie: {}\r\n", visit.cookie())),
                false => asks(client, &format!("{WAIT}?seconds=0"), &format!("Authorization: Bearer {token}\r\n")),
            }
        };
        let mut client = from(1, &server);
        assert_eq!(known(&mut client), 200);

        // All ask, so that none goes for its silence: where there is no room at all, the oldest one goes.
        let mut strangers: Vec<_> = [1, 1, 1, 1, 1, 1, 1, 2, 3]
            .map(|it| {
                let mut stranger = from(it, &server);
                assert_eq!(asks(&mut stranger, "/health", ""), 200, "{it}");
                stranger
            })
            .into();

        assert_eq!(known(&mut client), 200, "{is_person}");
        assert_eq!(asks(&mut strangers[0], "/health", ""), 0, "the oldest stranger went");
    }
}

#[test]
fn a_head_that_trickles_after_another_request_is_broken_off_too() {
    let server = small();
    let mut client = TcpStream::connect(server.address).unwrap();
    assert_eq!(asks(&mut client, "/health", ""), 200);
    client.write_all(b"GET /health HTTP/1.1\r\nX-Slow: ").unwrap();

    assert_eq!(server.app.crowd.end_paused(Duration::from_secs(60)), 0, "its answer was a moment ago");
    let began = Instant::now();
    while server.app.crowd.end_paused(Duration::ZERO) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody ends it");
    }

    let answer = trickle(&mut client);
    assert!(answer.is_empty(), "{answer}");
}
