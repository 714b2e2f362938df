//! `holdfast danger-test`.
use crate::cli::output::{Table, print, print_json, say};
use crate::danger::{self, AccessKey, Holdings, Outcome, Plan, SecondPlace, Variant};
use anyhow::Context;
use domain::words;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is tried, and where.
#[derive(Debug, clap::Args)]
pub struct DangerOptions {
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 10)]
    devices: usize,
    /// How much each of them has, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 100)]
    mib: u64,
    /// How many files share that [default: 200 small ones beside large ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    files: Option<u64>,
    /// What else goes wrong; may be repeated
    #[arg(long, value_enum, default_value = "plain")]
    variant: Vec<Variant>,
    /// An empty part of a bucket as the second store, `s3://BUCKET/PREFIX` [default: a folder beside the rest]
    #[arg(long, value_name = "WHERE")]
    copy: Option<String>,
    /// The bucket’s address
    #[arg(long, value_name = "URL")]
    copy_endpoint: Option<String>,
    /// The bucket’s access key
    #[arg(long, value_name = "KEY", env = "HOLDFAST_COPY_ACCESS_KEY")]
    copy_access_key: Option<String>,
    /// Its secret
    #[arg(long, value_name = "SECRET", env = "HOLDFAST_COPY_SECRET_KEY", hide_env_values = true)]
    copy_secret_key: Option<String>,
    /// An access key that may only read there: nothing else is left after the loss [default: the one above]
    #[arg(long, value_name = "KEY", env = "HOLDFAST_COPY_READ_ACCESS_KEY", requires = "copy_read_secret_key")]
    copy_read_access_key: Option<String>,
    /// Its secret
    #[arg(
        long,
        value_name = "SECRET",
        env = "HOLDFAST_COPY_READ_SECRET_KEY",
        hide_env_values = true,
        requires = "copy_read_access_key"
    )]
    copy_read_secret_key: Option<String>,
    /// Fail if a device is not back within so many seconds after the restore of the console began
    #[arg(long, value_name = "N")]
    most_seconds: Option<f64>,
    /// Folder below which everything is made, and removed again
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// When something fails before or besides the disaster.
pub fn run(options: DangerOptions) -> anyhow::Result<ExitCode> {
    let above = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let mut outcomes = Vec::new();
    for variant in &options.variant {
        let folder =
            tempfile::tempdir_in(&above).with_context(|| format!("making a folder below {}", above.display()))?;
        let copy = match &options.copy {
            Some(copy) => format!("{}/{}", copy.trim_end_matches('/'), hex::encode(secret::bytes::<4>()?)),
            None => folder.path().join("second-store").display().to_string(),
        };
        let is_bucket = copy.starts_with("s3://");
        let second = SecondPlace {
            copy,
            endpoint: options.copy_endpoint.clone(),
            key: access_key(options.copy_access_key.as_ref(), options.copy_secret_key.as_ref()),
            reading: access_key(options.copy_read_access_key.as_ref(), options.copy_read_secret_key.as_ref())
                .filter(|_| is_bucket),
        };
        let plan = Plan {
            variant: *variant,
            devices: options.devices.max(1),
            holdings: Holdings { bytes: options.mib << 20, files: options.files },
            folder: folder.path().to_owned(),
            second,
            most_seconds: options.most_seconds,
        };
        say(&format!("== {variant:?}"));
        outcomes.push(danger::run(&plan, &|text| say(&text))?);
    }
    if options.json {
        print_json(&outcomes)?;
    } else {
        outcomes.iter().for_each(show);
    }
    Ok(if outcomes.iter().all(Outcome::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn access_key(id: Option<&String>, secret: Option<&String>) -> Option<AccessKey> {
    id.zip(secret).map(|(id, secret)| AccessKey { id: id.clone(), secret: secret.clone() })
}

fn show(outcome: &Outcome) {
    let mut table = Table::new(&["DEVICE", "FILES", "SIZE", "DIFFERENT", "RECOVERY POINT", "RECOVERY TIME"]);
    for it in &outcome.devices {
        let count = words::number(it.different.len() as u64);
        let different = if it.is_spoilt { format!("{count}, each of them named by the console") } else { count };
        table.row([
            it.name.clone(),
            words::number(it.files as u64),
            words::bytes(it.bytes),
            different,
            format!("{:.1} s", it.recovery_point_seconds),
            format!("{:.1} s", it.recovery_time_seconds),
        ]);
    }
    let (all, console) = (outcome.seconds, outcome.console_seconds);
    let late = match outcome.most_seconds.filter(|_| !outcome.is_in_time()) {
        Some(most) => format!(" That is too long: {most} s were allowed."),
        None => String::new(),
    };
    print(&format!(
        "{:?}\n{}\nAll back after {all:.1} s, the console after {console:.1} s.{late}\n\n",
        outcome.variant,
        table.text()
    ));
}
