//! The load generator: objects sent and read over connections that stay open.
use super::run::Run;
use super::target::Target;
use super::{CONNECTIONS_PER_DEVICE, PACK};
use crate::bench::machine::cpu;
use anyhow::anyhow;
use rustix::time::ClockId;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The load generator.
pub(super) struct Load {
    devices: Vec<Target>,
    /// Makes every object of every run different.
    next: AtomicUsize,
}

/// An object: eight bytes of its own, then what all objects of its size share.
struct Object {
    first: [u8; 8],
    name: String,
}

impl Load {
    pub(super) fn new(devices: Vec<Target>) -> Self {
        Self { devices, next: AtomicUsize::new(0) }
    }

    pub(super) fn post(&self, size: usize, count: usize) -> anyhow::Result<Run> {
        let body: Arc<Vec<u8>> = Arc::new(secret::bytes::<64>()?.into_iter().cycle().take(size).collect());
        let objects = self.objects(&body, count);
        self.run(objects, size, |stream, target, object| {
            let head = target.head("POST", &object.name, &format!("Content-Length: {size}\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(&object.first)?;
            stream.write_all(body.get(8..).unwrap_or_default())?;
            answer(stream, &mut Vec::new()).map(drop)
        })
    }

    pub(super) fn get(&self, count: usize) -> anyhow::Result<Run> {
        let body: Arc<Vec<u8>> = Arc::new(secret::bytes::<64>()?.into_iter().cycle().take(PACK).collect());
        let objects = self.objects(&body, self.devices.len() * CONNECTIONS_PER_DEVICE);
        let names: Vec<String> = objects.iter().map(|it| it.name.clone()).collect();
        self.run(objects, PACK, |stream, target, object| {
            let head = target.head("POST", &object.name, &format!("Content-Length: {PACK}\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(&object.first)?;
            stream.write_all(body.get(8..).unwrap_or_default())?;
            answer(stream, &mut Vec::new()).map(drop)
        })?;
        let wanted = (0..count).filter_map(|at| names.get(at % names.len().max(1)));
        let wanted = wanted.map(|name| Object { first: [0; 8], name: name.clone() }).collect();
        self.run(wanted, PACK, |stream, target, object| {
            stream.write_all(target.head("GET", &object.name, "Range: bytes=0-\r\n").as_bytes())?;
            let mut buffer = vec![0; 256 << 10];
            let len = answer(stream, &mut buffer)?;
            if len == PACK { Ok(()) } else { Err(anyhow!("{len} bytes arrived")) }
        })
    }

    fn objects(&self, body: &[u8], count: usize) -> Vec<Object> {
        let make = |_| {
            let first = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            digest.update(&first);
            digest.update(body.get(8..).unwrap_or_default());
            Object { first, name: hex::encode(digest.finish()) }
        };
        (0..count).map(make).collect()
    }

    /// Object `n` always belongs to the same device, so that a later run can read it.
    fn run(
        &self,
        objects: Vec<Object>,
        size: usize,
        send: impl Fn(&mut BufReader<Stream>, &Target, &Object) -> anyhow::Result<()> + Sync,
    ) -> anyhow::Result<Run> {
        let connections = self.devices.len() * CONNECTIONS_PER_DEVICE;
        let (began, cpu_before) = (Instant::now(), cpu(ClockId::ProcessCPUTime));
        let of_load = std::thread::scope(|scope| {
            let (objects, send) = (&objects, &send);
            let threads: Vec<_> = (0..connections)
                .filter_map(|number| Some((number, self.devices.get(number % self.devices.len())?)))
                .map(|(number, target)| {
                    scope.spawn(move || -> anyhow::Result<Duration> {
                        let mut stream = BufReader::with_capacity(16 << 10, Stream::connect(target.address)?);
                        for object in objects.iter().skip(number).step_by(connections) {
                            send(&mut stream, target, object)?;
                        }
                        Ok(cpu(ClockId::ThreadCPUTime))
                    })
                })
                .collect();
            let ended = threads.into_iter().map(|it| it.join().map_err(|_panic| anyhow!("a load thread panicked"))?);
            ended.sum::<anyhow::Result<Duration>>()
        })?;
        let server_cpu = cpu(ClockId::ProcessCPUTime).saturating_sub(cpu_before).saturating_sub(of_load);
        Ok(Run { count: objects.len(), bytes: objects.len() * size, took: began.elapsed(), server_cpu })
    }
}

/// A connection that is read through a buffer and written directly.
struct Stream(TcpStream);

impl Stream {
    fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

trait WriteAll {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

impl WriteAll for BufReader<Stream> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.get_mut().0.write_all(bytes)
    }
}

/// Reads an answer and drops its body; returns the body's length.
fn answer(stream: &mut BufReader<Stream>, buffer: &mut Vec<u8>) -> anyhow::Result<usize> {
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(anyhow!("the server closed the connection"));
        }
        if status.is_empty() {
            status = line.trim().to_owned();
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    if !status.contains(" 200 ") && !status.contains(" 206 ") {
        return Err(anyhow!("the server answered {status}"));
    }
    buffer.resize(buffer.len().max(16 << 10), 0);
    let mut left = length;
    while left > 0 {
        let most = left.min(buffer.len());
        let got = stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        if got == 0 {
            return Err(anyhow!("the body broke off"));
        }
        left -= got;
    }
    Ok(length)
}
