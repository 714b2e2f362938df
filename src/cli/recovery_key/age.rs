//! The whole recovery key as a file in the age format, for people who keep a key of their own offline.
use crate::cli::output::say;
use anyhow::{Context, bail};
use domain::words::counted;
use secret::recovery::RecoveryKey;
use secret::recovery::age::{MOST_RECIPIENTS, Recipient};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// For whom, and where.
#[derive(Debug, Clone, clap::Args)]
#[group(requires_all = ["to", "file"])]
pub struct AgeOptions {
    /// The public key (age1…) of somebody who may open every backup alone, as `age-keygen` printed it; once for each
    #[arg(long = "age-to", value_name = "RECIPIENT", value_parser = recipient, required = false)]
    to: Vec<Recipient>,
    /// The file to write, which must not exist
    #[arg(long = "age-file", value_name = "FILE", required = false)]
    file: PathBuf,
}

fn recipient(text: &str) -> Result<Recipient, String> {
    Recipient::parse(text).map_err(|error| error.to_string())
}

impl AgeOptions {
    /// Whether the file could be written.
    ///
    /// # Errors
    /// When there is something at its path, or its folder cannot be reached.
    pub fn check(&self) -> anyhow::Result<()> {
        let path = self.file.display();
        if self.to.is_empty() || self.to.len() > MOST_RECIPIENTS {
            bail!("name 1 to {MOST_RECIPIENTS} people with --age-to");
        }
        if self.file.symlink_metadata().is_ok() {
            bail!("{path} is there already: name another file");
        }
        let folder = folder(&self.file);
        folder.metadata().with_context(|| format!("{} cannot be reached", folder.display()))?;
        Ok(())
    }

    /// Writes it, readable by its owner only, and durable when this returns.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then that looks like a key.
    pub fn write(&self, key: &RecoveryKey) -> anyhow::Result<()> {
        let path = self.file.display();
        let sealed = key.to_age(&self.to)?;
        let written = put(&self.file, &sealed);
        if written.is_err() {
            // Half of it opens nothing.
            let _ = std::fs::remove_file(&self.file);
        }
        written.with_context(|| {
            format!("{path} could not be written; write it from three shares with `holdfast recovery-key age`")
        })?;
        let (name, people) = (key.name(), counted(self.to.len(), "person", "people"));
        say(&format!(
            "{path} holds the whole recovery key {name} for {people}: each opens every backup alone. Test it there: \
             `age --decrypt -i KEY {path}`."
        ));
        Ok(())
    }
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
