//! `holdfast admin proof-key`: whether the copy kept elsewhere opens the backups.
use crate::cli::control::{KeyAct, Request};
use crate::cli::write::WriteOptions;
use crate::config::Options;
use crate::proof::keys::ProofKeys;
use anyhow::{Context, anyhow};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// A key file has two lines of base64; anything longer is not one.
const MAX_BYTES: u64 = 64 << 10;

/// What can be done with the proof key.
#[derive(Debug, clap::Subcommand)]
pub enum ProofKeyCommand {
    /// Check a copy of the proof key that you keep elsewhere; the console remembers that it was good
    Verify {
        /// The copy, on a disk other than the key's; `-` reads it from standard input, for example from a
        /// password manager
        copy: PathBuf,
        /// The key itself [default: DATA/proof.key]
        #[arg(long, value_name = "FILE", env = "HOLDFAST_PROOF_KEY")]
        proof_key: Option<PathBuf>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

impl ProofKeyCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the copy cannot be read, is not a key, or is in the same place as the key itself.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        let Self::Verify { copy, proof_key, write } = self;
        let given = Options { proof_key, ..Options::default() };
        let live = write.config(given.or(file.clone()))?.proof_key;
        let public = verify(&copy, &live)?;
        write.run(Request::Key { act: KeyAct::ProofKeyCopy { public } }, file)
    }
}

/// Reads a copy, and returns its public half.
fn verify(copy: &Path, live: &Path) -> anyhow::Result<String> {
    let text = if copy == Path::new("-") {
        read(io::stdin()).context("reading the copy from standard input")?
    } else {
        let name = copy.display();
        let opened = fs::File::open(copy).with_context(|| format!("reading {name}"))?;
        let about = opened.metadata().with_context(|| format!("reading {name}"))?;
        // Without the key to compare it with, the copy might be the key itself.
        let live = fs::metadata(live).with_context(|| {
            format!(
                "the proof key is not at {}: name it with --proof-key. If it is on another host, pipe the copy in \
                 and name it `-`",
                live.display()
            )
        })?;
        refuse_beside(&about, &live)?;
        read(opened).with_context(|| format!("reading {name}"))?
    };
    let keys = ProofKeys::parse(&text).context("this is not a proof key")?;
    Ok(keys.public().as_str().to_owned())
}

fn read(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// One failing disk must not take both.
fn refuse_beside(copy: &Metadata, live: &Metadata) -> anyhow::Result<()> {
    match (copy.dev() == live.dev(), copy.ino() == live.ino()) {
        (true, true) => Err(anyhow!("this is the proof key itself, not a copy; keep a copy on another disk")),
        (true, false) => Err(anyhow!(
            "this copy is on the same disk as the proof key, and would be lost with it; keep it elsewhere, and check \
             it there"
        )),
        (false, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_itself_and_a_copy_beside_it_do_not_count_as_copies() {
        let folder = tempfile::tempdir().unwrap();
        let (live, link, beside) = (folder.path().join("live"), folder.path().join("link"), folder.path().join("copy"));
        ProofKeys::open_or_make(&live, None).unwrap();
        fs::hard_link(&live, &link).unwrap();
        fs::copy(&live, &beside).unwrap();

        for (copy, said) in [(&live, "the proof key itself"), (&link, "the proof key itself"), (&beside, "same disk")] {
            let error = verify(copy, &live).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_not_a_key_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, live) = (folder.path().join("copy"), folder.path().join("nothing"));
        let keys = folder.path().join("keys");
        ProofKeys::open_or_make(&keys, None).unwrap();
        let text = fs::read_to_string(&keys).unwrap();
        let swapped = text.lines().rev().collect::<Vec<_>>().join("\n");

        for wrong in ["", "\n", "a\nb\n", &text[..text.len() / 2], &swapped, &"x".repeat(100_000)] {
            fs::write(&copy, wrong).unwrap();
            assert!(verify(&copy, &live).is_err(), "{wrong}");
        }
        fs::write(&copy, [0xff, 0xfe]).unwrap();
        assert!(verify(&copy, &live).is_err());
        fs::write(&copy, &text).unwrap();
        let refused = verify(&copy, &live).unwrap_err().to_string();
        assert!(refused.contains("name it with --proof-key"), "it may be the key itself: {refused}");
    }
}
