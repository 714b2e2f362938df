//! One run's figures, and how they are printed.
use crate::bench::server::say;
use std::time::Duration;

/// One run's figures.
pub(super) struct Run {
    pub(super) count: usize,
    pub(super) bytes: usize,
    pub(super) took: Duration,
    pub(super) server_cpu: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "a figure of four digits")]
impl Run {
    fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }

    pub(super) fn mib_per_cpu(&self) -> f64 {
        self.mib() / self.server_cpu.as_secs_f64()
    }

    pub(super) fn mib_per_second(&self) -> f64 {
        self.mib() / self.took.as_secs_f64()
    }

    pub(super) fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} requests, {:.0} MiB in {:.2} s, {:.0} MiB/s, server CPU {:.2} s",
            self.count,
            self.mib(),
            self.took.as_secs_f64(),
            self.mib_per_second(),
            self.server_cpu.as_secs_f64()
        )
    }
}

/// Prints each run, and the median of one figure, which it returns.
pub(super) fn report(name: &str, runs: &[Run], figure: &dyn Fn(&Run) -> f64, unit: &str) -> anyhow::Result<f64> {
    for run in runs {
        say(&format!("  run     {:9.1}  {run}", figure(run)))?;
    }
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).copied().unwrap_or_default();
    say(&format!("median    {median:9.1}  {name}: {unit}"))?;
    Ok(median)
}
