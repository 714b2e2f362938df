//! Keys and certificates for tests, made once: making an RSA key takes a while.
use super::{Authority, Certificate, PrivateKey, Registrar, Validity};
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType};
use std::sync::LazyLock;
use std::time::Duration;

pub const NOW: Timestamp = Timestamp::constant(1_795_356_371, 0);
pub const YEAR: Validity = Validity {
    from: Timestamp::constant(1_795_356_371 - 86_400, 0),
    until: Timestamp::constant(1_795_356_371 + 365 * 86_400, 0),
};

pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::create("Devices", YEAR).unwrap());
pub static REGISTRAR: LazyLock<Registrar> =
    LazyLock::new(|| AUTHORITY.issue_registrar("Device registration", YEAR).unwrap());
/// A device before it has a certificate of ours.
pub static DEVICE: LazyLock<Party> = LazyLock::new(|| Party::new("device", PrivateKey::generate_rsa().unwrap()));
pub static OTHER: LazyLock<Party> = LazyLock::new(|| Party::new("other", PrivateKey::generate_rsa().unwrap()));
pub static P256: LazyLock<Party> = LazyLock::new(|| Party::new("p256", PrivateKey::generate_p256().unwrap()));
pub static P384: LazyLock<Party> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    Party::new("p384", PrivateKey::from_pkcs8(key.serialized_der()).unwrap())
});

/// A key with a certificate that it signed itself.
pub struct Party {
    pub certificate: Certificate,
    pub key: PrivateKey,
}

impl Party {
    pub fn new(name: &str, key: PrivateKey) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap();
        Self { certificate, key }
    }
}

/// How long this thread computed while it did something: others on the machine do not count.
pub fn cpu_time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let until_now = || {
        let used = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(used.split(' ').next().unwrap().parse().unwrap())
    };
    let begun = until_now();
    let result = work();
    (until_now() - begun, result)
}
