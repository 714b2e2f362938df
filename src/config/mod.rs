//! All settings of the server process, typed and checked at start; the only
//! reader of settings from flags, environment and file.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. What admins
//! change while the server runs is kept in the database instead (`service::setting`).
mod apple;
mod copy;

pub use apple::AppleSettings;
pub use copy::{BucketSettings, CopySettings, CopyTarget, Hidden};

use anyhow::{Context, anyhow};
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::store::{Database, Upgrade};
use domain::time::days;
use domain::verification::{self, Budget};

/// The settings as given, each optional. Also the shape of the TOML file.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Folder for the database, backups, keys and the control socket
    #[arg(long, value_name = "DIR", env = "HOLDFAST_DATA", global = true)]
    pub data: Option<PathBuf>,
    /// SQLite file, or `postgres://USER@HOST/NAME` (15 or newer) [default: DATA/holdfast.db]
    #[arg(long, value_name = "URL", env = "HOLDFAST_DATABASE", hide_env_values = true, global = true)]
    pub database: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "HOLDFAST_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// The address that browsers and agents use, such as `https://mdm.example.org`
    #[arg(long, value_name = "URL", env = "HOLDFAST_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Another address at which agents can reach this server and enroll; may be repeated
    #[arg(long, value_name = "URL", env = "HOLDFAST_OTHER_URL", value_delimiter = ',')]
    pub other_url: Option<Vec<String>>,
    /// PEM file with the certificate chain; turns on TLS
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of the certificate
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Address of a reverse proxy whose X-Forwarded-For is trusted; may be repeated
    #[arg(long, value_name = "IP", env = "HOLDFAST_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Option<Vec<IpAddr>>,
    /// Address and port to listen on for Apple devices, such as `0.0.0.0:8443`; needs --apple-url and --apple-topic
    #[arg(long, value_name = "ADDRESS", env = "HOLDFAST_APPLE_LISTEN")]
    pub apple_listen: Option<SocketAddr>,
    /// The address at which Apple devices reach that, such as `https://devices.example.org`
    #[arg(long, value_name = "URL", env = "HOLDFAST_APPLE_URL")]
    pub apple_url: Option<String>,
    /// The topic of the push certificate, `com.apple.mgmt.External.…`
    #[arg(long, value_name = "TOPIC", env = "HOLDFAST_APPLE_TOPIC")]
    pub apple_topic: Option<String>,
    /// PEM file with the push certificate and its key, with which Apple devices are woken
    #[arg(long, value_name = "FILE", env = "HOLDFAST_APPLE_PUSH_CERTIFICATE")]
    pub apple_push_certificate: Option<PathBuf>,
    /// The address of Apple’s push service [default: Apple’s own]
    #[arg(long, value_name = "URL", env = "HOLDFAST_APPLE_PUSH_URL")]
    pub apple_push_url: Option<String>,
    /// The address of Apple’s device-enrolment service [default: Apple’s own]
    #[arg(long, value_name = "URL", env = "HOLDFAST_APPLE_SERVICE_URL")]
    pub apple_service_url: Option<String>,
    /// PEM file with the roots of the keys that Apple builds into devices: others do not enroll by themselves
    #[arg(long, value_name = "FILE", env = "HOLDFAST_APPLE_DEVICE_ROOTS")]
    pub apple_device_roots: Option<PathBuf>,
    /// Whether Apple devices may ask for certificates with SHA-1 and DES [default: true]
    #[arg(long, value_name = "BOOL", env = "HOLDFAST_APPLE_WEAK_SCEP", num_args = 0..=1, default_missing_value = "true")]
    pub apple_weak_scep: Option<bool>,
    /// The header in which a --trusted-proxy passes on the certificate of an Apple device
    #[arg(long, value_name = "NAME", env = "HOLDFAST_APPLE_CERTIFICATE_HEADER")]
    pub apple_certificate_header: Option<String>,
    /// Folder for backups [default: DATA/blobs]
    #[arg(long, value_name = "DIR", env = "HOLDFAST_BLOBS", global = true)]
    pub blobs: Option<PathBuf>,
    /// File with the private key that opens backups for restore tests [default: DATA/proof.key]
    #[arg(long, value_name = "FILE", env = "HOLDFAST_PROOF_KEY", global = true)]
    pub proof_key: Option<PathBuf>,
    /// Run no restore tests in this process; `holdfast prove` runs them on another host (PostgreSQL only)
    #[arg(long, value_name = "BOOL", env = "HOLDFAST_NO_PROVE", num_args = 0..=1, default_missing_value = "true")]
    pub no_prove: Option<bool>,
    /// Mail server, such as `smtps://USER:PASSWORD@HOST:465` or `smtp://HOST:587?tls=required`
    #[arg(long, value_name = "URL", env = "HOLDFAST_MAIL_URL", hide_env_values = true)]
    pub mail_url: Option<String>,
    /// Sender address of mails (default: `Holdfast <holdfast@localhost>`)
    #[arg(long, value_name = "ADDRESS", env = "HOLDFAST_MAIL_FROM")]
    pub mail_from: Option<String>,
    /// MiB of stored backups that are read back per second, past the system's cache, to find what rots on the disk;
    /// 0 turns that off [default: 32]
    #[arg(long, value_name = "MIB", env = "HOLDFAST_VERIFY_BUDGET")]
    pub verify_budget: Option<u32>,
    /// Days in which all stored backups are read back once, 1 to 365 [default: 30]
    #[arg(long, value_name = "DAYS", env = "HOLDFAST_VERIFY_CYCLE")]
    pub verify_cycle: Option<u16>,
    /// Threads that answer requests [default: one per core, at most 8]
    #[arg(long, value_name = "N", env = "HOLDFAST_WORKERS")]
    pub workers: Option<usize>,
    /// Adopt the backup folder as this server's; what is missing counts as damaged. Use it once, after backups were
    /// restored from a copy or are lost for good. To take over the folder of another server, name that server
    #[arg(long, value_name = "SERVER", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    #[serde(skip)]
    pub adopt_blobs: Option<String>,
    /// Let a newer version change the database although there is no good copy of it from before. Use it once
    #[arg(long)]
    #[serde(skip)]
    pub i_have_no_backup: bool,
    /// Where the backup store stands, such as `Zürich, cellar`; needed with --copy
    #[arg(long, value_name = "TEXT", env = "HOLDFAST_LOCATION")]
    pub location: Option<String>,
    /// The second store, to which every backup is copied: a folder on another machine’s disk, or
    /// `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "WHERE", env = "HOLDFAST_COPY")]
    pub copy: Option<String>,
    /// Where the second store stands; must differ from --location
    #[arg(long, value_name = "TEXT", env = "HOLDFAST_COPY_LOCATION")]
    pub copy_location: Option<String>,
    /// The address that answers for the bucket, such as `https://s3.example.com` [default: Amazon’s, of the region]
    #[arg(long, value_name = "URL", env = "HOLDFAST_COPY_ENDPOINT")]
    pub copy_endpoint: Option<String>,
    /// The bucket’s region [default: us-east-1]
    #[arg(long, value_name = "NAME", env = "HOLDFAST_COPY_REGION")]
    pub copy_region: Option<String>,
    /// The access key that gets, puts and lists objects in the bucket, and nothing else
    #[arg(long, value_name = "KEY", env = "HOLDFAST_COPY_ACCESS_KEY")]
    pub copy_access_key: Option<String>,
    /// The access key’s secret; other users of this machine can read flags, so rather in the environment or the file
    #[arg(long, value_name = "SECRET", env = "HOLDFAST_COPY_SECRET_KEY", hide_env_values = true)]
    pub copy_secret_key: Option<Hidden>,
    /// Accept a second store that shares this machine, its disk or its place: it repairs damage, but counts as no
    /// second copy, and every page says so
    #[arg(long, value_name = "BOOL", env = "HOLDFAST_COPY_IS_SPARE", num_args = 0..=1, default_missing_value = "true")]
    pub copy_is_spare: Option<bool>,
    /// Begin with the second store as it is, and forget what was copied before. Use it once, when another one takes
    /// its place, and name it: STORE is what --copy says
    #[arg(long, value_name = "STORE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    #[serde(skip)]
    pub new_copy: Option<String>,
    /// What to log; a flag of every sub-command.
    #[arg(skip)]
    pub log: Option<String>,
}

impl Options {
    /// Reads a TOML file with the same names.
    ///
    /// # Errors
    /// When it cannot be read, or has an unknown name or a wrong type.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading the settings file {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("understanding the settings file {}", path.display()))
    }

    /// These settings, filled in from `file` where not given.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            data: self.data.or(file.data),
            database: self.database.or(file.database),
            listen: self.listen.or(file.listen),
            public_url: self.public_url.or(file.public_url),
            other_url: self.other_url.or(file.other_url),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            trusted_proxy: self.trusted_proxy.or(file.trusted_proxy),
            apple_listen: self.apple_listen.or(file.apple_listen),
            apple_url: self.apple_url.or(file.apple_url),
            apple_topic: self.apple_topic.or(file.apple_topic),
            apple_push_certificate: self.apple_push_certificate.or(file.apple_push_certificate),
            apple_push_url: self.apple_push_url.or(file.apple_push_url),
            apple_service_url: self.apple_service_url.or(file.apple_service_url),
            apple_device_roots: self.apple_device_roots.or(file.apple_device_roots),
            apple_weak_scep: self.apple_weak_scep.or(file.apple_weak_scep),
            apple_certificate_header: self.apple_certificate_header.or(file.apple_certificate_header),
            blobs: self.blobs.or(file.blobs),
            proof_key: self.proof_key.or(file.proof_key),
            no_prove: self.no_prove.or(file.no_prove),
            mail_url: self.mail_url.or(file.mail_url),
            mail_from: self.mail_from.or(file.mail_from),
            verify_budget: self.verify_budget.or(file.verify_budget),
            verify_cycle: self.verify_cycle.or(file.verify_cycle),
            workers: self.workers.or(file.workers),
            adopt_blobs: self.adopt_blobs,
            location: self.location.or(file.location),
            copy: self.copy.or(file.copy),
            copy_location: self.copy_location.or(file.copy_location),
            copy_endpoint: self.copy_endpoint.or(file.copy_endpoint),
            copy_region: self.copy_region.or(file.copy_region),
            copy_access_key: self.copy_access_key.or(file.copy_access_key),
            copy_secret_key: self.copy_secret_key.or(file.copy_secret_key),
            copy_is_spare: self.copy_is_spare.or(file.copy_is_spare),
            new_copy: self.new_copy,
            i_have_no_backup: self.i_have_no_backup,
            log: self.log.or(file.log),
        }
    }
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub data: PathBuf,
    pub database: Database,
    pub listen: SocketAddr,
    /// Without a trailing slash.
    pub public_url: String,
    /// Other addresses that agents may enroll at.
    pub other_urls: Vec<String>,
    pub tls: Option<Tls>,
    pub trusted_proxies: Vec<IpAddr>,
    /// None if Apple devices are not served.
    pub apple: Option<AppleSettings>,
    pub blobs: PathBuf,
    pub proof_key: PathBuf,
    /// Whether restore tests run in this process.
    pub prove: bool,
    pub mail: Option<MailServer>,
    pub verification: verification::Settings,
    pub workers: usize,
    /// Where the backup store stands; empty if nobody said.
    pub location: String,
    /// The second store; none if there is none.
    pub copy: Option<CopySettings>,
    /// Whether the backup folder is taken as it is, and from which other server; empty for none.
    pub adopt_blobs: Option<String>,
    /// What there has to be before the schema changes.
    pub upgrade: Upgrade,
}

/// The server that takes our mail, and the sender. The URL may hold a password, so `Debug` leaves it out.
#[derive(Clone)]
pub struct MailServer {
    pub url: String,
    pub from: String,
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Where the certificate and the key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The folder used when none is given.
pub const DEFAULT_DATA: &str = "holdfast-data";

impl Config {
    /// Checks the settings and fills in the defaults.
    ///
    /// # Errors
    /// When two settings contradict each other; the text names both.
    pub fn new(options: Options) -> anyhow::Result<Self> {
        let copy = CopySettings::new(&options)?;
        let apple = AppleSettings::new(&options)?;
        let data = options.data.unwrap_or_else(|| DEFAULT_DATA.into());
        let listen = options.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let tls = match (options.tls_certificate, options.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            _ => {
                return Err(anyhow!(
                    "tls-certificate and tls-key belong together: give both, or none to serve plain HTTP"
                ));
            }
        };
        let database = match options.database {
            Some(text) => Database::parse(&text)?,
            None => Database::Sqlite(data.join("holdfast.db")),
        };
        let no_prove = options.no_prove.unwrap_or(false);
        if no_prove && matches!(database, Database::Sqlite(_)) {
            return Err(anyhow!(
                "no-prove needs PostgreSQL: with SQLite the restore tests run in the server's process"
            ));
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public_url = options.public_url.unwrap_or_else(|| format!("{scheme}://{listen}"));
        Ok(Self {
            public_url: check_url("public-url", &public_url)?,
            other_urls: options
                .other_url
                .unwrap_or_default()
                .iter()
                .map(|it| check_url("other-url", it))
                .collect::<Result<_, _>>()?,
            blobs: options.blobs.unwrap_or_else(|| data.join("blobs")),
            proof_key: options.proof_key.unwrap_or_else(|| data.join("proof.key")),
            prove: !no_prove,
            verification: verification(options.verify_budget, options.verify_cycle)?,
            workers: options.workers.unwrap_or_else(cores).clamp(1, 64),
            adopt_blobs: options.adopt_blobs,
            location: options.location.unwrap_or_default(),
            copy,
            apple,
            upgrade: if options.i_have_no_backup { Upgrade::WithoutBackup } else { Upgrade::WithCopy },
            mail: options.mail_url.map(|url| MailServer {
                url,
                from: options.mail_from.unwrap_or_else(|| "Holdfast <holdfast@localhost>".to_owned()),
            }),
            trusted_proxies: options.trusted_proxy.unwrap_or_default().iter().map(IpAddr::to_canonical).collect(),
            data,
            database,
            listen,
            tls,
        })
    }

    /// The client's address: the socket's, or the one a trusted proxy reports.
    ///
    /// `forwarded` are the values of `X-Forwarded-For`. Read from the right: the first address that is not a
    /// trusted proxy's is the client's; anything before it may have been written by the client, in any bytes.
    pub fn client_address<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
        // A dual-stack socket shows an IPv4 peer as ::ffff:10.0.0.1.
        let mut client = peer.to_canonical();
        for hop in forwarded.rev().flat_map(|it| it.rsplit(|byte| *byte == b',')) {
            if !self.trusted_proxies.contains(&client) {
                break;
            }
            match hop_address(hop) {
                Some(address) => client = address.to_canonical(),
                None => break,
            }
        }
        client
    }

    /// Whether an address is one of those this server was configured with, however it is spelled.
    ///
    /// A request's own `Host` header does not count: the sender writes it too.
    pub fn is_public_url(&self, said: &str) -> bool {
        let said = origin(said.trim_end_matches('/'));
        said == self.origin() || self.other_urls.iter().any(|it| origin(it) == said)
    }

    /// Whether browsers reach this server over TLS, its own or a proxy's; cookies are then `Secure`.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The origin of [`Config::public_url`], as a browser writes it: in lower case, without the scheme's
    /// default port.
    pub fn origin(&self) -> String {
        origin(&self.public_url)
    }
}

/// 32 MiB/s read 79 TiB in the 24 of 30 days after which it is due again, and take 2 % of a core.
const VERIFY_BUDGET: u32 = 32;

fn verification(budget: Option<u32>, cycle: Option<u16>) -> anyhow::Result<verification::Settings> {
    let cycle = cycle.unwrap_or(30);
    if !(1..=365).contains(&cycle) {
        return Err(anyhow!("verify-cycle must be 1 to 365 days, not {cycle}"));
    }
    let budget = Budget { mib_per_second: budget.unwrap_or(VERIFY_BUDGET) };
    Ok(verification::Settings { budget, cycle: days(cycle.into()) })
}

/// An address in lower case, without the scheme's default port.
fn origin(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    let own_port = if url.starts_with("https://") { ":443" } else { ":80" };
    url.strip_suffix(own_port).map_or_else(|| url.clone(), ToOwned::to_owned)
}

/// One hop of `X-Forwarded-For`; some proxies write the port too.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(8)
}

fn check_url(name: &str, url: &str) -> anyhow::Result<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest.map(|it| it.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => Err(anyhow!("{name} must be http:// or https:// and a host, without a path; `{url}` is not")),
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {}", self.certificate.display(), self.key.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file() {
        let file: Options = toml::from_str("data = \"/from/file\"\nworkers = 3").unwrap();
        let flags = Options { data: Some("/from/flag".into()), ..Options::default() };

        let config = Config::new(flags.or(file)).unwrap();

        assert_eq!(config.data, Path::new("/from/flag"));
        assert_eq!(config.workers, 3);
        assert_eq!(config.database, Database::Sqlite("/from/flag/holdfast.db".into()));
    }

    #[test]
    fn backups_are_read_back_unless_that_is_turned_off() {
        let of = |text: &str| Config::new(toml::from_str(text).unwrap()).unwrap().verification;
        let default = of("");
        assert_eq!((default.budget.mib_per_second, default.cycle), (32, days(30)));
        let set = of("verify_budget = 0\nverify_cycle = 7");
        assert!(set.budget.is_off() && set.cycle == days(7));
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_came_from() {
        let options = Options { trusted_proxy: Some(vec!["10.0.0.1".parse().unwrap()]), ..Options::default() };
        let config = Config::new(options).unwrap();
        for (peer, forwarded, expected) in [
            ("192.0.2.7", vec!["198.51.100.1"], "192.0.2.7"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6", "198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["rubbish"], "10.0.0.1"),
            ("10.0.0.1", vec!["6.6.6.6", "ünlesbar"], "10.0.0.1"),
            ("10.0.0.1", vec!["é, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6", "é, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6, ::ffff:198.51.100.1, ::ffff:10.0.0.1"], "198.51.100.1"),
        ] {
            let client = config.client_address(peer.parse().unwrap(), forwarded.iter().map(|it| it.as_bytes()));
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn the_origin_is_spelled_as_browsers_do() {
        for (url, origin) in [
            ("https://MDM.Example.org:443/", "https://mdm.example.org"),
            ("http://mdm.example.org:80", "http://mdm.example.org"),
            ("https://mdm.example.org:80", "https://mdm.example.org:80"),
            ("https://mdm.example.org:8443", "https://mdm.example.org:8443"),
            ("https://[::1]:443", "https://[::1]"),
        ] {
            let config = Config::new(Options { public_url: Some(url.to_owned()), ..Options::default() }).unwrap();
            assert_eq!(config.origin(), origin, "{url}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let tls = Options { tls_key: Some("k".into()), ..Options::default() };
        let prove = Options { no_prove: Some(true), ..Options::default() };
        let url = Options { public_url: Some("mdm.example.org".into()), ..Options::default() };
        let cycle = |days| Options { verify_cycle: Some(days), ..Options::default() };
        for options in [tls, prove, url, cycle(0), cycle(366)] {
            assert!(Config::new(options).is_err());
        }
        assert!(toml::from_str::<Options>("databse = \"x\"").is_err(), "a typing mistake in the file is an error");
    }
}
