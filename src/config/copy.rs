//! The settings of the second store.
use super::Options;
use anyhow::anyhow;
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A secret among the settings; `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl FromStr for Hidden {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The second store, as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySettings {
    pub target: CopyTarget,
    /// Where it stands; empty if nobody said.
    pub location: String,
    /// Whether it may share this machine, its disk or its place, and then counts as no second copy.
    pub is_spare: bool,
    /// Whether it is taken as it is, and what was copied before forgotten; with the name that was typed of it.
    pub anew: Option<String>,
}

/// What the second store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyTarget {
    Folder(PathBuf),
    Bucket(BucketSettings),
    /// Another Holdfast that fetches, by its name.
    Puller(String),
}

/// A bucket, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    pub bucket: String,
    /// What the keys of its objects begin with, without slashes at either end; empty for none.
    pub prefix: String,
    /// `https://HOST`, or `http://HOST`.
    pub endpoint: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: Hidden,
}

impl CopySettings {
    /// The second store, if one is set.
    ///
    /// # Errors
    /// When the settings do not fit together; the text names those that are wrong.
    pub(super) fn new(options: &Options) -> anyhow::Result<Option<Self>> {
        let Some(text) = options.copy.as_deref().map(str::trim).filter(|it| !it.is_empty()) else {
            let stray = options.copy_endpoint.is_some() || options.copy_access_key.is_some();
            if stray || options.copy_secret_key.is_some() || options.new_copy.is_some() {
                return Err(anyhow!(
                    "copy is missing: say where the second store is, such as `s3://BUCKET/PREFIX`, or leave out the \
                     other settings of the copy"
                ));
            }
            return Ok(None);
        };
        let target = match text.strip_prefix("s3://") {
            Some(rest) => CopyTarget::Bucket(BucketSettings::new(rest, options)?),
            None if text.contains("://") => {
                return Err(anyhow!("copy is a folder, `s3://BUCKET/PREFIX` or `pull:NAME`; `{text}` is none of them"));
            }
            None => match text.strip_prefix("pull:") {
                Some(name) if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) => {
                    CopyTarget::Puller(name.to_owned())
                }
                Some(name) => {
                    return Err(anyhow!(
                        "copy is `pull:NAME`, of letters, digits, dots, hyphens and underscores; `pull:{name}` is not"
                    ));
                }
                None => CopyTarget::Folder(text.into()),
            },
        };
        Ok(Some(Self {
            target,
            location: options.copy_location.clone().unwrap_or_default().trim().to_owned(),
            is_spare: options.copy_is_spare.unwrap_or(false),
            anew: options.new_copy.clone(),
        }))
    }
}

impl BucketSettings {
    /// `rest` is what follows `s3://`.
    fn new(rest: &str, options: &Options) -> anyhow::Result<Self> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_part = |it: &str| !it.is_empty() && it != "." && it != ".." && it.chars().all(is_plain);
        let prefix = prefix.trim_matches('/');
        if !is_part(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
            return Err(anyhow!(
                "copy is `s3://BUCKET/PREFIX`, of letters, digits, dots, hyphens and underscores; `s3://{rest}` is not"
            ));
        }
        let region = options.copy_region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = options.copy_endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = super::check_url("copy-endpoint", &endpoint)?;
        let missing =
            |what: &str| anyhow!("{what} is missing: a bucket needs an access key of its own, and its secret");
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            region,
            access_key: options.copy_access_key.clone().ok_or_else(|| missing("copy-access-key"))?,
            secret_key: options.copy_secret_key.clone().ok_or_else(|| missing("copy-secret-key"))?,
        })
    }
}

/// What needs no encoding in the key of an object.
const fn is_plain(it: char) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn bucket() -> Options {
        Options {
            copy: Some("s3://copies/of/mdm/".to_owned()),
            copy_endpoint: Some("https://s3.example.com/".to_owned()),
            copy_access_key: Some("AKIA".to_owned()),
            copy_secret_key: Some(Hidden("very secret".to_owned())),
            ..Options::default()
        }
    }

    #[test]
    fn a_bucket_is_read_with_what_opens_it_and_its_secret_is_not_printed() {
        let config = Config::new(bucket()).unwrap();
        let CopyTarget::Bucket(it) = config.copy.clone().unwrap().target else { panic!("a bucket") };
        assert_eq!((&*it.bucket, &*it.prefix), ("copies", "of/mdm"));
        assert_eq!((&*it.endpoint, &*it.region), ("https://s3.example.com", "us-east-1"));
        assert_eq!(it.secret_key.0, "very secret");
        let printed = format!("{config:?} {:?}", bucket());
        assert!(!printed.contains("very secret"), "{printed}");
        let amazon = Options { copy_endpoint: None, copy_region: Some("eu-north-1".to_owned()), ..bucket() };
        let CopyTarget::Bucket(it) = Config::new(amazon).unwrap().copy.unwrap().target else { panic!("a bucket") };
        assert_eq!(it.endpoint, "https://s3.eu-north-1.amazonaws.com");
    }

    #[test]
    fn a_folder_is_one_and_no_copy_is_none() {
        let options = Options { copy: Some("/mnt/copy".to_owned()), copy_is_spare: Some(true), ..Options::default() };
        let copy = Config::new(options).unwrap().copy.unwrap();
        assert_eq!((copy.target, copy.is_spare, copy.anew), (CopyTarget::Folder("/mnt/copy".into()), true, None));
        let puller = Options { copy: Some("pull:basel".to_owned()), ..Options::default() };
        assert_eq!(Config::new(puller).unwrap().copy.unwrap().target, CopyTarget::Puller("basel".to_owned()));
        for none in [None, Some(" ".to_owned())] {
            assert_eq!(Config::new(Options { copy: none, ..Options::default() }).unwrap().copy, None);
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let with = |copy: &str| Options { copy: Some(copy.to_owned()), ..bucket() };
        for (options, named) in [
            (Options { copy: None, ..bucket() }, "copy is missing"),
            (Options { copy: None, new_copy: Some(String::new()), ..Options::default() }, "copy is missing"),
            (Options { copy_access_key: None, ..bucket() }, "copy-access-key"),
            (Options { copy_secret_key: None, ..bucket() }, "copy-secret-key"),
            (Options { copy_endpoint: Some("s3.example.com".to_owned()), ..bucket() }, "copy-endpoint"),
            (with("gs://bucket"), "s3://BUCKET/PREFIX"),
            (with("s3://"), "s3://BUCKET/PREFIX"),
            (with("s3://bucket/../other"), "s3://BUCKET/PREFIX"),
            (with("s3://bucket/a//b"), "s3://BUCKET/PREFIX"),
            (with("s3://bucket/a b"), "s3://BUCKET/PREFIX"),
            (with("pull:"), "pull:NAME"),
            (with("pull:a/b"), "pull:NAME"),
        ] {
            let said = format!("{:#}", Config::new(options).unwrap_err());
            assert!(said.contains(named), "{said}");
        }
    }
}
