//! What an order is in Apple's protocol.
use crate::error::Result;
use crate::protocol::apple::authority::Opened;
use crate::protocol::apple::profile;
use crate::protocol::apple::received::Received;
use crate::service::apple::identity::Known;
use crate::service::device_secret;
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::anyhow;
use apple::command::{Erasure, LostNote, Obliteration, Request, ReturnToService};
use domain::command::{CommandKind, Instruction, Order};
use domain::device::Platform;
use domain::device_secret::SecretKind;
use domain::note::Note;
use domain::wipe;

/// An order on its way to a device.
pub struct Sending<'a> {
    pub received: &'a Received,
    pub device: &'a Device,
    pub known: &'a Known,
}

/// An order of a kind, to ask whether a device takes it; none if Apple's protocol has no such command.
pub fn example(kind: CommandKind) -> Option<Request> {
    Some(match kind {
        CommandKind::Lock => Request::DeviceLock { message: None, phone_number: None, pin: None },
        CommandKind::Wipe => Request::EraseDevice(Erasure::default()),
        CommandKind::RemoveCompanyData => Request::RemoveProfile { identifier: profile::IDENTIFIER.to_owned() },
        CommandKind::LostModeOn => Request::EnableLostMode(LostNote::default()),
        CommandKind::LostModeOff => Request::DisableLostMode,
        CommandKind::PlaySound => Request::PlayLostModeSound,
        CommandKind::Locate => Request::DeviceLocation,
        CommandKind::ClearPasscode => Request::ClearPasscode { unlock_token: Vec::new() },
        CommandKind::Restart => Request::RestartDevice,
        CommandKind::ShutDown => Request::ShutDownDevice,
        CommandKind::RotateRecoveryKey => {
            Request::RotateFileVaultKey { password: String::new(), certificate: Vec::new() }
        }
        CommandKind::SetRecoveryLock => Request::SetRecoveryLock { current: None, new: String::new() },
        CommandKind::FetchBypassCode => Request::ActivationLockBypassCode,
        CommandKind::BackUpNow | CommandKind::Restore | CommandKind::UndoRestore => return None,
    })
}

/// The request that an order is.
///
/// # Errors
/// When a secret cannot be opened, or the database refuses. Why it cannot be asked is a value.
pub fn request(
    conn: &mut Conn,
    sending: &Sending<'_>,
    instruction: &Instruction,
) -> Result<std::result::Result<Request, &'static str>> {
    Ok(Ok(match &instruction.order {
        Order::Lock { note } => {
            let pin = sending.pin(conn, (SecretKind::LockPin, instruction))?;
            Request::DeviceLock { message: some(&note.message), phone_number: some(&note.phone_number), pin }
        }
        // Handed out only for a released wipe request, checked in this transaction.
        Order::Wipe { erasure, .. } => {
            if erasure.refusal(sending.device.platform, &sending.device.os_version).is_some() {
                return Ok(Err("what was approved for this wipe is not possible on its system"));
            }
            let pin = sending.pin(conn, (SecretKind::WipePin, instruction))?;
            Request::EraseDevice(Erasure { pin, ..chosen(erasure) })
        }
        Order::LostModeOn { note } => Request::EnableLostMode(lost(note)),
        Order::ClearPasscode => match &sending.known.enrollment.unlock_token {
            Some(sealed) => Request::ClearPasscode { unlock_token: sending.unlock_token(sealed)? },
            None => return Ok(Err("the device never brought what removes its passcode")),
        },
        Order::RotateRecoveryKey => match sending.current(conn, SecretKind::RecoveryKey)? {
            Some(password) => Request::RotateFileVaultKey { password, certificate: sending.escrow_certificate()? },
            None => return Ok(Err("this server has no recovery key of its disk, with which it would be unlocked")),
        },
        Order::SetRecoveryLock => {
            let current = sending.current(conn, SecretKind::RecoveryLock)?;
            let new = sending.made(conn, (SecretKind::RecoveryLock, instruction), password)?;
            Request::SetRecoveryLock { current, new }
        }
        Order::RemoveCompanyData
        | Order::LostModeOff
        | Order::PlaySound
        | Order::Locate
        | Order::Restart
        | Order::ShutDown
        | Order::FetchBypassCode
        | Order::BackUpNow
        | Order::Restore(_)
        | Order::UndoRestore { .. } => {
            return Ok(example(instruction.order.kind()).ok_or("Apple’s protocol has no such command"));
        }
    }))
}

fn lost(note: &Note) -> LostNote {
    LostNote { message: some(&note.message), phone_number: some(&note.phone_number), footnote: some(&note.footnote) }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|it| !it.is_empty())
}

fn chosen(erasure: &wipe::Erasure) -> Erasure {
    Erasure {
        pin: None,
        preserve_data_plan: erasure.keeps_data_plan,
        disallow_proximity_setup: erasure.refuses_proximity_setup,
        obliteration: erasure.obliteration.map(|it| match it {
            wipe::Obliteration::Default => Obliteration::Default,
            wipe::Obliteration::DoNotObliterate => Obliteration::DoNotObliterate,
            wipe::Obliteration::ObliterateWithWarning => Obliteration::ObliterateWithWarning,
            wipe::Obliteration::Always => Obliteration::Always,
        }),
        return_to_service: erasure.returns_to_service.then(ReturnToService::default),
    }
}

impl Sending<'_> {
    /// What a Mac asks for after it was locked or erased; a phone has its own passcode.
    fn pin(&self, conn: &mut Conn, of: (SecretKind, &Instruction)) -> Result<Option<String>> {
        if self.device.platform != Platform::Macos {
            return Ok(None);
        }
        self.made(conn, of, pin).map(Some)
    }

    /// A secret that the order carries: made when it is first handed out, and the same if it is again.
    fn made(
        &self,
        conn: &mut Conn,
        (kind, instruction): (SecretKind, &Instruction),
        make: fn() -> Result<String>,
    ) -> Result<String> {
        if let Some(earlier) = store::device_secret::of_command(conn, instruction.id)? {
            return self.opened()?.unseal_secret(&earlier);
        }
        let text = make()?;
        let sealed = self.opened()?.seal_secret((self.device.id, kind), &text)?;
        device_secret::send(conn, self.device, &sealed, instruction.id, self.received.now)?;
        Ok(text)
    }

    fn current(&self, conn: &mut Conn, kind: SecretKind) -> Result<Option<String>> {
        let current = store::device_secret::current(conn, (self.device.id, self.device.generation), kind)?;
        current.map(|it| self.opened()?.unseal_secret(&it)).transpose()
    }

    fn unlock_token(&self, sealed: &str) -> Result<Vec<u8>> {
        self.opened()?.unseal(&format!("unlock token/{}", self.known.enrollment.id), sealed)
    }

    /// To whose key a Mac encrypts its recovery key.
    fn escrow_certificate(&self) -> Result<Vec<u8>> {
        Ok(self.opened()?.registrar.certificate.der().to_vec())
    }

    fn opened(&self) -> Result<&Opened> {
        self.received.door.opened().map_err(|fault| anyhow!("{fault}").into())
    }
}

/// Six digits.
fn pin() -> Result<String> {
    // Of four billion numbers each of a million remainders comes as often as another, but for one in four thousand.
    Ok(format!("{:06}", u32::from_le_bytes(secret::bytes::<4>()?) % 1_000_000))
}

/// A password that nobody has to remember, and that can be read out.
fn password() -> Result<String> {
    let text = hex::encode(secret::bytes::<16>()?);
    let parts: Vec<_> = text.as_bytes().chunks(8).map(String::from_utf8_lossy).collect();
    Ok(parts.join("-"))
}
