//! The command channel: what became of the last request, and the next one.
use crate::error::{Error, Result};
use crate::protocol::apple::answer::Answer;
use crate::protocol::apple::received::Received;
use crate::protocol::apple::{convert, profile};
use crate::service::apple::enrollment::challenge;
use crate::service::apple::identity::Known;
use crate::service::apple::session::{Caller, Next, Question, Said, exchange};
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use apple::command::{Erasure, QUERIES, QUERIES_OF_COMPANY_PHONES, QUERIES_OF_MACS, Request};
use apple::message::{Report, Status};
use apple::target::{Rights, System, Target, Version};
use domain::command::Order;
use domain::device::{Ownership, Platform};
use domain::fact::{FactKind, FactValue};

/// Takes a report and answers with the next request.
///
/// # Errors
/// When the device has not finished enrolling, or the database refuses.
pub fn answer(conn: &mut Conn, received: &Received, known: &Known, report: &Report) -> Result<Answer> {
    let device = known.device.as_ref().ok_or_else(|| Error::Refused("the device has not enrolled yet".to_owned()))?;
    let target = target(conn, device, &known.enrollment)?;
    let caller = Caller { device, enrollment: &known.enrollment, address: &received.address };
    let mut said = said(report, device, received);
    // Each turn ends what the device cannot be asked, so there is an end.
    loop {
        let (request, asked_as) = match exchange(conn, caller, &said, received.now)? {
            Next::Nothing => return Ok(Answer::Nothing),
            Next::Order(it) => (request(&it.order), it.id.to_string()),
            Next::Ask { question, asked_as } => (Some(ask(conn, received, (device, known), question)?), asked_as),
        };
        let refusal = match &request {
            Some(request) => request.may_ask(&target).err().map(|it| format!("it was not sent: {it}")),
            None => Some("it was not sent: Apple’s protocol has no such command".to_owned()),
        };
        match (request, refusal) {
            (Some(request), None) => {
                let bytes = request.message(&asked_as, &target).context("writing a request")?;
                return Ok(Answer::Plist { kind: request.name(), bytes });
            }
            (_, refusal) => {
                let detail = refusal.unwrap_or_default();
                said = Said::Ended { asked_as, done: false, detail, facts: Vec::new() };
            }
        }
    }
}

fn said(report: &Report, device: &Device, received: &Received) -> Said {
    let asked_as = report.command.clone().unwrap_or_default();
    let ended = |done, detail: String| Said::Ended {
        asked_as: asked_as.clone(),
        done,
        detail,
        facts: if done { convert::facts(&report.answer, device.platform, received.now) } else { Vec::new() },
    };
    match report.status {
        Status::Idle => Said::Idle,
        Status::NotNow => Said::NotNow { asked_as },
        Status::Acknowledged => ended(true, "acknowledged".to_owned()),
        Status::Error => ended(false, convert::causes(&report.causes)),
        Status::CommandFormatError => ended(false, "the device does not understand the command".to_owned()),
    }
}

/// What an order is in Apple's protocol; none if it is nothing there.
fn request(order: &Order) -> Option<Request> {
    match order {
        Order::Lock => Some(Request::DeviceLock { message: None, phone_number: None, pin: None }),
        // Handed out only for a released wipe request, checked in this transaction.
        Order::Wipe { .. } => Some(Request::EraseDevice(Erasure::default())),
        Order::RemoveCompanyData => Some(Request::RemoveProfile { identifier: profile::IDENTIFIER.to_owned() }),
        Order::BackUpNow | Order::Restore(_) | Order::UndoRestore { .. } => None,
    }
}

fn ask(
    conn: &mut Conn,
    received: &Received,
    (device, known): (&Device, &Known),
    question: Question,
) -> Result<Request> {
    Ok(match question {
        Question::DeviceInformation => Request::DeviceInformation(queries(device)),
        Question::SecurityInfo => Request::SecurityInfo,
        Question::NextCertificate => {
            let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
            let challenge = challenge(conn, known.enrollment.id, received.now)?;
            let whose = (&known.enrollment, device.ownership);
            let payload = profile::signed(&received.door, opened, whose, &challenge, received.now)?;
            Request::InstallProfile { payload }
        }
    })
}

fn queries(device: &Device) -> Vec<String> {
    let more: &[&str] = match (device.platform, device.ownership) {
        (Platform::Ios | Platform::Ipados, Ownership::Company) => QUERIES_OF_COMPANY_PHONES,
        (Platform::Macos, _) => QUERIES_OF_MACS,
        _ => &[],
    };
    QUERIES.iter().chain(more).map(|it| (*it).to_owned()).collect()
}

/// What the device is, as far as it decides what it may be asked.
fn target(conn: &mut Conn, device: &Device, enrollment: &AppleEnrollment) -> Result<Target> {
    let status = store::device_status::find(conn, device.id)?;
    let facts = status.map(|it| it.facts()).transpose()?.unwrap_or_default();
    let supervised = facts.get(FactKind::Supervised).is_some_and(|it| it.value == FactValue::Flag(true));
    let version = device.os_version.rsplit(' ').next().and_then(Version::parse);
    Ok(Target {
        system: if device.platform == Platform::Macos { System::Macos } else { System::Ios },
        version: version.unwrap_or(Version(0, 0, 0)),
        is_supervised: supervised,
        // Of a personal device Apple means one with an account of the organisation, which is another way to enroll.
        is_personal: false,
        rights: Rights(u32::try_from(enrollment.rights).unwrap_or_default()),
    })
}
