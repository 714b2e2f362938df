//! The load: every request over connections that stay open, and what came of it.
use anyhow::anyhow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What was spent between two samples, the most first.
pub(in crate::bench) fn spent(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let spent =
        after.iter().map(|(name, ticks)| (name.clone(), ticks - before.get(name).copied().unwrap_or(0).min(*ticks)));
    let mut spent: Vec<_> = spent.filter(|(_, ticks)| *ticks > 0).collect();
    spent.sort_by_key(|(_, ticks)| std::cmp::Reverse(*ticks));
    spent
}

/// One run's figures.
pub(in crate::bench) struct Run {
    took: Duration,
    latencies: Vec<Duration>,
    /// Hundredths of a second of processor time, by thread.
    pub(in crate::bench) cpu: Vec<(String, u64)>,
    pub(in crate::bench) errors: usize,
    pub(in crate::bench) first_error: String,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "a figure of four digits")]
    pub(in crate::bench) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        write!(
            f,
            "{:6.0} a second, p50 {:5.1} ms, p99 {:5.1} ms, worst {:5.1} ms, {} errors; CPU each:",
            self.rate(),
            millis(50),
            millis(99),
            millis(100),
            self.errors
        )?;
        let count = (self.latencies.len() as u64).max(1);
        let all: u64 = self.cpu.iter().map(|(_, ticks)| ticks).sum();
        write!(f, " {} µs", all * 10_000 / count)?;
        for (name, ticks) in &self.cpu {
            write!(f, ", {name} {}", ticks * 10_000 / count)?;
        }
        Ok(())
    }
}

/// Sends all requests over persistent connections, each as soon as the previous one was answered.
pub(in crate::bench) fn load(
    address: SocketAddr,
    connections: usize,
    requests: Arc<Vec<Vec<u8>>>,
) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::spawn(client(stream, Arc::clone(&requests), Arc::clone(&next))))
            .collect();
        let mut run =
            Run { took: Duration::ZERO, latencies: Vec::new(), cpu: Vec::new(), errors: 0, first_error: String::new() };
        for task in tasks {
            match task.await? {
                Ok(latencies) => run.latencies.extend(latencies),
                Err(error) => {
                    run.errors += 1;
                    run.first_error = format!("{error:#}");
                }
            }
        }
        run.took = began.elapsed();
        run.latencies.sort_unstable();
        Ok(run)
    })
}

async fn client(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        stream.write_all(request).await?;
        answer.clear();
        while !is_whole(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(anyhow!("the server closed the connection"));
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(anyhow!("the server answered {}", String::from_utf8_lossy(&answer)));
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Whether an answer is as long as its headers say.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let head = answer.get(..end).unwrap_or_default();
    let mut lines = head.split(|it| *it == b'\n').filter_map(|it| std::str::from_utf8(it).ok());
    let length = lines.find_map(|it| it.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}
