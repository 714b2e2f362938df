//! The key to the backups where the customer keeps it: made here, or read from the file that somebody brought, and never
//! sent anywhere.
use crate::state::Record;
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use repository::{Made, MasterKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use wire::OwnRepository;
use zeroize::{Zeroize, Zeroizing};

/// No key file is longer.
const MOST: u64 = 4096;

/// What a key file says first, so that nothing else passes for one.
const FORMAT: &str = "holdfast-key-1";

/// The server has what the password opens, and time: a shorter one may be guessed. Those made here have 43 letters.
const SHORTEST: usize = 32;

/// What opens a device's backups, and those of each other device that was enrolled with the same file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKey {
    format: String,
    /// 64 bytes in base64, as in a restore order.
    master_key: String,
    /// What restic or rustic asks for.
    password: String,
}

impl Record for OwnKey {
    const FILE: &'static str = "own-key.json";
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnKey")
    }
}

impl Drop for OwnKey {
    fn drop(&mut self) {
        self.master_key.zeroize();
        self.password.zeroize();
    }
}

impl OwnKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    fn make() -> Result<Self> {
        let bytes = Zeroizing::new(secret::bytes::<64>()?);
        Ok(Self {
            format: FORMAT.to_owned(),
            master_key: BASE64_STANDARD.encode(bytes.as_slice()),
            password: secret::generate("")?,
        })
    }

    /// The one in a file; a new one is made and written there if there is no file.
    ///
    /// # Errors
    /// When the file is no key file, others can read it, or it cannot be written.
    pub fn read_or_make(path: &Path) -> Result<Self> {
        let shown = path.display();
        match File::open(path) {
            Ok(file) => Self::read(file).with_context(|| format!("reading the key file {shown}")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = Self::make()?;
                key.write(path).with_context(|| format!("writing the key file {shown}"))?;
                Ok(key)
            }
            Err(error) => Err(error).with_context(|| format!("reading the key file {shown}")),
        }
    }

    fn read(file: File) -> Result<Self> {
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            bail!("others can read it: close it to them first (chmod 600)");
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MOST + 1).read_to_string(&mut text)?;
        Self::parse(&text)
    }

    /// Reads the text of a key file.
    fn parse(text: &str) -> Result<Self> {
        if text.len() as u64 > MOST {
            bail!("it is too long");
        }
        let key: Self = serde_json::from_str(text).context("it is not a key file")?;
        if key.format != FORMAT {
            bail!("it is not a key file that this program knows");
        }
        if key.password.len() < SHORTEST {
            bail!("its password is shorter than {SHORTEST} letters, so the server could guess it");
        }
        key.master_key()?;
        Ok(key)
    }

    fn write(&self, path: &Path) -> Result<()> {
        // Nothing that is there is replaced: it may be the only one of another key.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(self.text()?.as_bytes())?;
        file.sync_all()?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }

    /// The text of the key file.
    ///
    /// # Errors
    /// Never, for keys that were read or made.
    pub fn text(&self) -> Result<Zeroizing<String>> {
        Ok(Zeroizing::new(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// The master key.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn master_key(&self) -> Result<MasterKey> {
        MasterKey::from_base64(&self.master_key).ok_or_else(|| anyhow!("a master key has 64 bytes"))
    }

    /// The repository's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Makes the first objects of a repository that this key opens.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn make_repository(&self) -> Result<OwnRepository> {
        let Made { config, key, .. } = repository::make(&self.password, Some(&self.master_key()?))?;
        Ok(OwnRepository { config: BASE64_STANDARD.encode(config), key: BASE64_STANDARD.encode(key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_file_is_made_once_closed_to_others_and_read_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("team.key");
        let made = OwnKey::read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(OwnKey::read_or_make(&path).unwrap(), made);
        assert_eq!(format!("{made:?}"), "OwnKey");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = format!("{:#}", OwnKey::read_or_make(&path).unwrap_err());
        assert!(refused.contains("others can read it"), "{refused}");
    }

    #[test]
    fn what_is_no_key_file_is_refused_and_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let good = OwnKey::make().unwrap().text().unwrap();
        let made = OwnKey::parse(&good).unwrap();
        let short = good.replace(&made.master_key, "AAAA");
        let guessable = good.replace(&made.password, "a word that one may guess");
        for (number, text) in [
            String::new(),
            "rubbish".to_owned(),
            "[]".to_owned(),
            good.replace("holdfast-key-1", "holdfast-key-2"),
            good.replace("\"password\"", "\"word\""),
            good[..good.len() / 2].to_owned(),
            short,
            guessable,
            format!("{}{}", *good, " ".repeat(5000)),
        ]
        .into_iter()
        .enumerate()
        {
            let path = temp.path().join(number.to_string());
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(OwnKey::read_or_make(&path).is_err(), "{number}: {text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{number}");
        }
        assert!(OwnKey::parse(&good).is_ok());
    }
}
