//! `holdfast dr undelete`: brings back what somebody deleted or overwrote in the bucket of the second store.
use super::open::bucket;
use crate::blob::bucket::Undeleted;
use crate::cli::output::{print, print_json, say};
use crate::config::{Config, Options};
use anyhow::Context;
use domain::words;
use serde::Serialize;
use std::process::ExitCode;

/// What `dr undelete` needs.
#[derive(Debug, clap::Args)]
pub struct UndeleteOptions {
    /// Do it; without this it only looks, and says what it would do
    #[arg(long)]
    bring_back: bool,
    #[command(flatten)]
    server: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Outcome {
    is_trial: bool,
    keys: u64,
    hidden: u64,
    overwritten: u64,
    bytes: u64,
    mended: u64,
    sent: u64,
    hopeless: u64,
    named: Vec<String>,
}

/// Looks, and brings back.
///
/// # Errors
/// When the second store is no bucket, or its versions cannot be listed or read.
pub fn run(options: UndeleteOptions, file: Options) -> anyhow::Result<ExitCode> {
    let UndeleteOptions { bring_back, server, json } = options;
    let bucket = bucket(&Config::new(server.or(file))?)?;
    say("Looking at every version of everything in the second store…");
    let far = |it: &Undeleted| {
        let mended = if bring_back { format!(", {} right again", words::number(it.mended)) } else { String::new() };
        let (keys, wrong) = (words::number(it.keys), words::number(it.hidden + it.overwritten));
        say(&format!("{keys} objects looked at, {wrong} deleted or overwritten{mended}"));
    };
    let done = bucket.undelete(!bring_back, &far).context("looking for what was deleted")?;
    if json {
        print_json(&outcome(&done, !bring_back))?;
    } else {
        print(&text(&done, bring_back));
    }
    let is_good = if bring_back { done.is_whole() } else { done.hopeless == 0 };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn outcome(done: &Undeleted, is_trial: bool) -> Outcome {
    let Undeleted { keys, hidden, overwritten, bytes, mended, sent, hopeless, named } = done.clone();
    Outcome { is_trial, keys, hidden, overwritten, bytes, mended, sent, hopeless, named }
}

fn text(done: &Undeleted, bring_back: bool) -> String {
    let number = words::number;
    let mut said = format!(
        "Of {} objects {} were deleted and {} were overwritten ({}).\n",
        number(done.keys),
        number(done.hidden),
        number(done.overwritten),
        words::bytes(done.bytes)
    );
    if done.hopeless > 0 {
        said.push_str(&format!("{} cannot be brought back:\n", number(done.hopeless)));
        done.named.iter().for_each(|it| said.push_str(&format!("  {it}\n")));
    }
    said.push_str(&match (bring_back, done.hidden + done.overwritten) {
        (_, 0) => "Nothing is to be brought back.\n".to_owned(),
        (false, _) => "Nothing was changed. To bring them back, run the same command with --bring-back.\n".to_owned(),
        (true, _) => format!(
            "{} are back, {} of them sent again. Take the access key away from whoever did this before you go on; then \
             `holdfast dr restore` finds what was there.\n",
            number(done.mended),
            number(done.sent)
        ),
    });
    said
}
