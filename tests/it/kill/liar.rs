//! The negative control: answers 200 to an upload first, and passes it on later, like a server that
//! acknowledges a write before its commit.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long an acknowledged upload is only in memory.
const DELAY: Duration = Duration::from_millis(20);

pub struct Liar {
    address: String,
    gone: Arc<AtomicBool>,
}

impl Liar {
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let gone = Arc::new(AtomicBool::new(false));
        let (queue, waiting) = channel();
        let (server, is_gone) = (server.to_owned(), Arc::clone(&gone));
        std::thread::spawn(move || pass_on(&server, &waiting, &is_gone));
        let is_gone = Arc::clone(&gone);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_gone.load(Ordering::SeqCst) {
                    return;
                }
                let queue = queue.clone();
                std::thread::spawn(move || acknowledge(stream.unwrap(), &queue));
            }
        });
        Self { address, gone }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Liar {
    /// Dies with the server: what it has not passed on is gone.
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
    }
}

fn acknowledge(mut stream: TcpStream, queue: &Sender<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            request.extend_from_slice(line.as_bytes());
        }
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    let start = request.len();
    request.resize(start + length, 0);
    reader.read_exact(&mut request[start..]).ok()?;
    queue.send(request).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
}

fn pass_on(server: &str, waiting: &Receiver<Vec<u8>>, gone: &AtomicBool) {
    while let Ok(request) = waiting.recv() {
        std::thread::sleep(DELAY);
        if gone.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = TcpStream::connect(server) else { return };
        let mut answer = Vec::new();
        let _ = stream.write_all(&request).and_then(|()| stream.read_to_end(&mut answer));
    }
}
