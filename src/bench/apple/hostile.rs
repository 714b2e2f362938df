//! What it costs to refuse the worst that a stranger can send to the listener for Apple devices.
use crate::bench::machine;
use anyhow::{Context, Result, bail};
use apple::certificate::Strength;
use apple::simulated::{Device, Identity, signed};
use apple::{cms, plist, scep};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use rustix::time::ClockId;

/// What arrives: a message, a signature over one, or a request for a certificate.
enum Arrival {
    Message(Vec<u8>),
    Signature { signature: Vec<u8>, body: Vec<u8> },
    Request(Vec<u8>),
}

impl Arrival {
    fn is_refused(&self) -> bool {
        match self {
            Self::Message(bytes) => plist::read(bytes).is_err(),
            Self::Signature { signature, body } => cms::verify(signature, Some(body), Strength::WithLegacy).is_err(),
            Self::Request(bytes) => scep::Message::parse(bytes, Strength::WithLegacy).is_err(),
        }
    }
}

/// The most processor time, in milliseconds, and the most memory, in MiB, that refusing one of them took, and which it was.
///
/// # Errors
/// When one of them is taken.
pub fn worst() -> Result<String> {
    let (mut slowest, mut largest) = ((0.0, ""), (0.0, ""));
    for (name, arrival) in arrivals()? {
        let before = resident().context("how much memory this process has")?;
        machine::forget_peak().context("forgetting the most memory that this process had")?;
        let began = machine::cpu(ClockId::ThreadCPUTime);
        let is_refused = arrival.is_refused();
        let took = machine::cpu(ClockId::ThreadCPUTime).saturating_sub(began).as_secs_f64() * 1000.0;
        if !is_refused {
            bail!("{name} was not refused");
        }
        let took_memory = (peak().context("how much memory it had at most")? - before).max(0.0);
        if took > slowest.0 {
            slowest = (took, name);
        }
        if took_memory > largest.0 {
            largest = (took_memory, name);
        }
    }
    Ok(format!(
        "{:.1} CPU ms at most ({}), {:.1} MiB at most ({}); goal under 50 ms and 16 MiB",
        slowest.0, slowest.1, largest.0, largest.1
    ))
}

fn arrivals() -> Result<Vec<(&'static str, Arrival)>> {
    let identity = Identity::generate()?;
    let device = Device {
        udid: "00008030-0".to_owned(),
        serial: "1".to_owned(),
        name: "phone".to_owned(),
        product: "iPhone14,5".to_owned(),
        os_version: "17.5".to_owned(),
        is_supervised: false,
    };
    let (body, header) = signed(device.idle(), &identity, Timestamp::from_second(1_800_000_000)?)?;
    let signature = BASE64_STANDARD.decode(header)?;
    let large = plist::MAX_BYTES - 200;
    let within =
        |inside: String| format!("<plist version=\"1.0\"><dict><key>a</key>{inside}</dict></plist>").into_bytes();
    let other = [&body[..], b"x"].concat();
    Ok(vec![
        ("lists in lists", Arrival::Message(within("<array>".repeat(large / 7)))),
        ("as many values as fit", Arrival::Message(within(format!("<array>{}</array>", "<true/>".repeat(large / 7))))),
        (
            "keys without end",
            Arrival::Message(within(format!("<dict>{}</dict>", "<key>a</key><true/>".repeat(large / 19)))),
        ),
        ("a text without end", Arrival::Message([&b"<plist><dict><key>"[..], &vec![b'a'; large]].concat())),
        ("entities in entities", Arrival::Message(entities())),
        ("more than is read", Arrival::Message(vec![b'a'; plist::MAX_BYTES + 1])),
        ("a binary list that holds itself", Arrival::Message(binary(&[0xaf, 0x12, 0x00, 0x00, 0xff, 0xff]))),
        ("a binary list of more than there is", Arrival::Message(binary(&[0xaf, 0x13, 0xff, 0xff, 0xff, 0xff]))),
        ("a signature over something else", Arrival::Signature { signature: signature.clone(), body: other }),
        ("no signature", Arrival::Signature { signature: Vec::new(), body: body.clone() }),
        (
            "lengths in lengths",
            Arrival::Signature { signature: [0x30, 0x80].repeat(cms::MAX_LEN / 2 - 1), body: body.clone() },
        ),
        ("a longer signature than any", Arrival::Signature { signature: vec![0x30; cms::MAX_LEN + 1], body }),
        ("a longer request than any", Arrival::Request(vec![0x30; scep::MAX_LEN + 1])),
        ("a request of nothing but lengths", Arrival::Request([0x30, 0x80].repeat(scep::MAX_LEN / 2 - 1))),
        ("a signature as a request", Arrival::Request(signature)),
    ])
}

/// Each entity is ten of the one before.
fn entities() -> Vec<u8> {
    let mut text = String::from("<!DOCTYPE plist [<!ENTITY e0 \"lol\">");
    for at in 1..30 {
        let inside = format!("&e{};", at - 1).repeat(10);
        text.push_str(&format!("<!ENTITY e{at} \"{inside}\">"));
    }
    text.push_str("]><plist version=\"1.0\"><dict><key>a</key><string>&e29;</string></dict></plist>");
    text.into_bytes()
}

/// A binary property list whose only object is this.
fn binary(object: &[u8]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let at = bytes.len();
    bytes.extend_from_slice(object);
    let table = bytes.len();
    bytes.push(u8::try_from(at).unwrap_or_default());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [1, 0, table as u64] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes
}

/// In MiB.
fn resident() -> Option<f64> {
    memory("VmRSS:")
}

fn peak() -> Option<f64> {
    memory("VmHWM:")
}

fn memory(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix(name))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}
