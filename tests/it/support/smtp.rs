//! A mail server that keeps what it is given, refuses the recipients of one domain and hangs up on those of another.
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Accepts mail until the process ends.
pub struct SmtpSink {
    letters: Arc<Mutex<Vec<String>>>,
}

impl SmtpSink {
    /// Listens on `address`.
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let letters = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&letters);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream.unwrap(), &kept));
            }
        });
        Self { letters }
    }

    /// Every letter that was accepted, with its headers.
    pub fn letters(&self) -> Vec<String> {
        self.letters.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    writer.write_all(b"220 sink\r\n").ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => writer.write_all(b"250-sink\r\n250 8BITMIME\r\n").ok()?,
            "RCPT" if line.contains("@refused.example") => writer.write_all(b"550 no such mailbox\r\n").ok()?,
            "RCPT" if line.contains("@hangs-up.example") => return None,
            "DATA" => {
                writer.write_all(b"354 go on\r\n").ok()?;
                kept.lock().unwrap().push(read_letter(&mut reader)?);
                writer.write_all(b"250 taken\r\n").ok()?;
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").ok()?;
                return None;
            }
            _ => writer.write_all(b"250 ok\r\n").ok()?,
        }
    }
}

fn read_letter(reader: &mut impl BufRead) -> Option<String> {
    let mut letter = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line == ".\r\n" {
            return Some(letter);
        }
        letter.push_str(&line);
    }
}
