//! Check-in messages: how a device enrolls, says where it is reached, and leaves.
use crate::error::{Error, Result};
use crate::protocol::apple::ability;
use crate::protocol::apple::answer::Answer;
use crate::protocol::apple::convert;
use crate::protocol::apple::received::Received;
use crate::service::apple::enrollment;
use crate::service::apple::identity::Known;
use crate::store::Conn;
use crate::store::apple::enrollment::{Reached, set_bootstrap_token};
use anyhow::{Context, anyhow};
use apple::message::{CheckIn, PushAddress, Token};
use apple::plist::{Dictionary, Value, write};
use domain::id::AppleEnrollmentId;

/// Answers a check-in message.
///
/// # Errors
/// When the device may not enroll, or the database refuses.
pub fn answer(conn: &mut Conn, received: &Received, known: &Known, said: &CheckIn) -> Result<Answer> {
    let Received { message, address, now, .. } = received;
    let Known { enrollment, device } = known;
    match said {
        CheckIn::Authenticate(identity) => {
            require_topic(&enrollment.topic, &identity.topic)?;
            let mut said = convert::introduction(identity)?;
            if enrollment.is_by_account() {
                // It does not say it, and if it did, it would be nobody's business.
                said.serial.clear();
            }
            enrollment::introduce(conn, enrollment, message.speaker.name.as_str(), &said, *now)?;
            Ok(Answer::Nothing)
        }
        CheckIn::TokenUpdate(push) => {
            require_topic(&enrollment.topic, &push.topic)?;
            let reached = reached(received, enrollment.id, push)?;
            enrollment::reached(conn, enrollment, (&reached, &ability::at_first), address, *now)?;
            Ok(Answer::Nothing)
        }
        CheckIn::CheckOut { .. } => {
            enrollment::left(conn, enrollment, device.as_ref(), address, *now)?;
            Ok(Answer::Nothing)
        }
        CheckIn::SetBootstrapToken { token } => {
            let sealed = token.as_ref().map(|it| seal(received, BOOTSTRAP, enrollment.id, it)).transpose()?;
            set_bootstrap_token(conn, enrollment.id, sealed.as_deref())?;
            Ok(Answer::Nothing)
        }
        CheckIn::GetBootstrapToken => bootstrap_token(received, known),
        // Neither is announced in the profile.
        CheckIn::GetToken { .. } | CheckIn::DeclarativeManagement { .. } => Ok(Answer::Absent),
        CheckIn::UserAuthenticate { .. } => Ok(Answer::Gone),
    }
}

fn require_topic(ours: &str, said: &str) -> Result<()> {
    if ours == said {
        return Ok(());
    }
    Err(Error::Refused(format!("the topic is “{said}”, but the profile of this enrolment says “{ours}”")))
}

const UNLOCK: &str = "unlock token";
const BOOTSTRAP: &str = "bootstrap token";

fn seal(received: &Received, what: &str, id: AppleEnrollmentId, token: &Token) -> Result<String> {
    let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
    opened.seal(&format!("{what}/{id}"), &token.0)
}

fn reached(received: &Received, id: AppleEnrollmentId, push: &PushAddress) -> Result<Reached> {
    Ok(Reached {
        push_token: hex::encode(&push.token.0),
        push_magic: push.magic.clone(),
        unlock_token: push.unlock_token.as_ref().map(|it| seal(received, UNLOCK, id, it)).transpose()?,
    })
}

fn bootstrap_token(received: &Received, known: &Known) -> Result<Answer> {
    let enrollment = &known.enrollment;
    let Some(sealed) = &enrollment.bootstrap_token else { return Ok(Answer::Absent) };
    let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
    let token = opened.unseal(&format!("{BOOTSTRAP}/{}", enrollment.id), sealed)?;
    let answer: Dictionary = [("BootstrapToken", Value::Data(token))].into_iter().collect();
    Ok(Answer::Plist { kind: "BootstrapToken", bytes: write(answer).context("writing a bootstrap token")? })
}
