//! The command channel: what became of the last request, and the next one.
use crate::error::{Error, Result};
use crate::protocol::apple::ability;
use crate::protocol::apple::answer::Answer;
use crate::protocol::apple::escrow::secrets;
use crate::protocol::apple::inventory::inventory;
use crate::protocol::apple::order::{self, Sending};
use crate::protocol::apple::received::Received;
use crate::protocol::apple::{convert, profile};
use crate::service::apple::enrollment::{challenge, set_channel};
use crate::service::apple::identity::Known;
use crate::service::apple::session::{Caller, Given, Next, Question, Said, exchange};
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use apple::command::{QUERIES, QUERIES_BY_ACCOUNT, QUERIES_OF_COMPANY_PHONES, QUERIES_OF_MACS, Request};
use apple::message::{Report, Status};
use apple::target::Target;
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
    let mut said = said(conn, report, device, received)?;
    // Each turn ends what the device cannot be asked, so there is an end.
    loop {
        let next = exchange(conn, caller, &said, received.now)?;
        if report.answer.contains_key("QueryResponses") {
            // It may have said that it is supervised, or has another system.
            learn(conn, device, &known.enrollment)?;
        }
        let (request, asked_as) = match next {
            Next::Nothing => return Ok(Answer::Nothing),
            Next::Order(it) => {
                let sending = Sending { received, device, known };
                (order::request(conn, &sending, &it)?.map_err(ToOwned::to_owned), it.id.to_string())
            }
            Next::Ask { question, asked_as } => (Ok(ask(conn, received, (device, known), question)?), asked_as),
        };
        let request = request.and_then(|it| it.may_ask(&target).map(|()| it).map_err(|why| why.to_string()));
        match request {
            Ok(request) => {
                let bytes = request.message(&asked_as, &target).context("writing a request")?;
                return Ok(Answer::Plist { kind: request.name(), bytes });
            }
            Err(why) => {
                let detail = format!("it was not sent: {why}");
                said = Said::Ended { asked_as, done: false, detail, given: Given::default() };
            }
        }
    }
}

fn said(conn: &mut Conn, report: &Report, device: &Device, received: &Received) -> Result<Said> {
    let asked_as = report.command.clone().unwrap_or_default();
    let ended = |done, detail: String, given| Said::Ended { asked_as: asked_as.clone(), done, detail, given };
    Ok(match report.status {
        Status::Idle => Said::Idle,
        Status::NotNow => Said::NotNow { asked_as },
        Status::Acknowledged => ended(true, "acknowledged".to_owned(), given(conn, report, device, received)?),
        Status::Error => ended(false, convert::causes(&report.causes), Given::default()),
        Status::CommandFormatError => {
            ended(false, "the device does not understand the command".to_owned(), Given::default())
        }
    })
}

fn given(conn: &mut Conn, report: &Report, device: &Device, received: &Received) -> Result<Given> {
    let answer = &report.answer;
    let may_have_secrets = ["SecurityInfo", "RotateResult", "ActivationLockBypassCode"].iter();
    let secrets = if may_have_secrets.clone().any(|it| answer.contains_key(it)) {
        let kept = store::device_secret::of_device(conn, device.id)?;
        let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
        secrets(opened, device.id, &kept, answer)?
    } else {
        Vec::new()
    };
    Ok(Given { facts: convert::facts(answer, device.platform, received.now), secrets, inventory: inventory(answer) })
}

fn ask(
    conn: &mut Conn,
    received: &Received,
    (device, known): (&Device, &Known),
    question: Question,
) -> Result<Request> {
    Ok(match question {
        Question::DeviceInformation => Request::DeviceInformation(queries(device, &known.enrollment)),
        Question::SecurityInfo => Request::SecurityInfo,
        Question::ProfileList => Request::ProfileList,
        Question::CertificateList => Request::CertificateList,
        Question::InstalledApplicationList => Request::InstalledApplicationList,
        Question::NextCertificate => {
            let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
            let challenge = challenge(conn, known.enrollment.id, received.now)?;
            let whose = (&known.enrollment, device.ownership);
            let payload = profile::signed(received.door.settings(), opened, whose, &challenge, received.now)?;
            Request::InstallProfile { payload }
        }
    })
}

fn queries(device: &Device, enrollment: &AppleEnrollment) -> Vec<String> {
    if enrollment.is_by_account() {
        return QUERIES_BY_ACCOUNT.iter().map(|it| (*it).to_owned()).collect();
    }
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
    Ok(ability::target(
        device.platform,
        &device.os_version,
        supervised,
        (enrollment.rights, enrollment.is_by_account()),
    ))
}

/// Which orders reach the device follows what it says.
fn learn(conn: &mut Conn, device: &Device, enrollment: &AppleEnrollment) -> Result<()> {
    let Some(device) = store::device::find(conn, device.id)? else { return Ok(()) };
    let target = target(conn, &device, enrollment)?;
    set_channel(conn, &device, &ability::channel(&target, device.ownership))
}
