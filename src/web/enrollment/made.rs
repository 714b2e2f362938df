//! A token that was just made: as text, command and QR code, shown once.
use crate::program::Program;
use crate::store::enrollment_token::EnrollmentToken;
use crate::web::PageResult;
use crate::web::form::with_status;
use crate::web::layout::Layout;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use anyhow::anyhow;
use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::key_holder::{KEEP_THE_KEY_FILE, KeyHolder};
use fast_qr::convert::{Builder, svg::SvgBuilder};
use fast_qr::{ECL, QRBuilder};

/// A token that was just made, with its text, which is shown once.
pub struct Made {
    pub token: EnrollmentToken,
    pub text: String,
    pub server: String,
    /// The folders the device already protects; none for a new one.
    pub protect: Vec<String>,
    /// Who keeps the key to its backups.
    pub key_holder: KeyHolder,
    /// Where Apple devices get their profile; none if they are not served.
    pub apple: Option<String>,
    /// The Managed Apple Account that it is for; empty if it is for any device.
    pub account: String,
}

impl Made {
    /// The command to run on the device.
    fn command(&self) -> String {
        let again = if self.token.device_id.is_some() { " --again" } else { "" };
        let mut command = format!("holdfast agent enroll{again} --server {} --token {}", self.server, self.text);
        if self.protect.is_empty() {
            command.push_str(" --protect ~/Documents");
        }
        for folder in &self.protect {
            command.push_str(&format!(" --protect '{}'", folder.replace('\'', "'\\''")));
        }
        if self.key_holder == KeyHolder::Customer {
            command.push_str(" --key-file backup.key");
        }
        command
    }

    /// What an iPhone, iPad or Mac opens; none if they are not served.
    fn profile_address(&self) -> Option<String> {
        if !self.account.is_empty() {
            return None;
        }
        Some(format!("{}/apple/enroll/{}", self.apple.as_ref()?, self.text))
    }

    /// What turns a bare machine into a device: it fetches the agent from this server, checks that it arrived
    /// complete, and runs it.
    fn install_command(&self, program: &Program) -> String {
        format!(
            "curl -fsS -o holdfast -H 'Authorization: Bearer {}' {}/agent/v1/program &&\n\
             echo '{}  holdfast' | sha256sum --check &&\n\
             chmod +x holdfast &&\n\
             ./{} &&\n\
             ./holdfast agent run",
            self.text,
            self.server,
            program.sha256(),
            self.command()
        )
    }
}

/// The agent that this server hands out.
struct Offered {
    command: String,
    platform: String,
    sha256: String,
    size: u64,
}

impl Offered {
    /// None for a device that already has it, and if the program's own file cannot be read.
    async fn of(made: &Made) -> Option<Self> {
        if made.token.device_id.is_some() {
            return None;
        }
        match actix_web::web::block(Program::offered).await.map_err(anyhow::Error::from).and_then(|it| Ok(it?)) {
            Ok(program) => Some(Self {
                command: made.install_command(program),
                platform: Program::platform(),
                sha256: program.sha256().to_owned(),
                size: program.size(),
            }),
            Err(error) => {
                tracing::warn!(?error, "the agent's file cannot be read, so no device can fetch it from here");
                None
            }
        }
    }
}

#[derive(Template)]
#[template(path = "enrollment/made.html")]
struct MadePage {
    layout: Layout,
    made: Made,
    offered: Option<Offered>,
    /// The QR code as a `data:` address.
    qr: String,
    /// Where an Apple device gets its profile, and that as a QR code.
    apple: Option<(String, String)>,
}

/// The page that shows a token once.
///
/// # Errors
/// When it is too long for a QR code.
pub async fn made_page(layout: Layout, made: Made) -> PageResult<HttpResponse> {
    let qr_code = qr(&format!("holdfast://enroll?server={}&token={}", made.server, made.text))?;
    let apple = made.profile_address().map(|it| Ok::<_, crate::error::Error>((it.clone(), qr(&it)?))).transpose()?;
    let offered = Offered::of(&made).await;
    with_status(&MadePage { layout, made, offered, qr: qr_code, apple }, StatusCode::OK)
}

fn qr(text: &str) -> crate::error::Result<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().map_err(|error| anyhow!("making a QR code: {error}"))?;
    let svg = SvgBuilder::default().margin(4).to_str(&code);
    Ok(format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::device::Ownership;
    use domain::id::EnrollmentTokenId;
    use domain::time::Time;

    #[test]
    fn the_command_of_a_device_that_enrolls_again_names_its_folders() {
        let token = |device_id| EnrollmentToken {
            id: EnrollmentTokenId::generate(Time::from_millis(0)),
            token_hash: String::new(),
            name: String::new(),
            team_id: None,
            device_id,
            ownership: Ownership::Company,
            use_limit: 1,
            use_count: 0,
            created_by: String::new(),
            created_at: Time::from_millis(0),
            expires_at: Time::from_millis(0),
            revoked_at: None,
        };
        let made = |device, protect: &[&str]| Made {
            token: token(device),
            text: "t".to_owned(),
            server: "https://x".to_owned(),
            protect: protect.iter().map(|it| (*it).to_owned()).collect(),
            key_holder: KeyHolder::Server,
            apple: None,
            account: String::new(),
        };
        let closed = Made { key_holder: KeyHolder::Customer, ..made(None, &[]) }.command();
        assert!(closed.ends_with(" --protect ~/Documents --key-file backup.key"), "{closed}");
        let device = Some(domain::id::DeviceId::generate(Time::from_millis(0)));

        let (new, again) = (made(None, &[]).command(), made(device, &["/home/ada", "/it's mine"]).command());

        assert_eq!(new, "holdfast agent enroll --server https://x --token t --protect ~/Documents");
        let folders = r"--protect '/home/ada' --protect '/it'\''s mine'";
        assert_eq!(again, format!("holdfast agent enroll --again --server https://x --token t {folders}"));
    }

    #[test]
    fn a_token_and_its_server_fit_a_qr_code() {
        let server = format!("https://{}.example.org", "mdm".repeat(20));
        let address = qr(&format!("holdfast://enroll?server={server}&token=hf_enroll_{}", "a".repeat(43))).unwrap();
        let svg = BASE64_STANDARD.decode(address.rsplit(',').next().unwrap()).unwrap();
        assert!(svg.starts_with(b"<svg"));
    }
}
