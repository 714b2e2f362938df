//! What devices send: check-in messages, and reports on commands.
//!
//! Source: Apple, `mdm/checkin` of the schema, and “MDM Protocol Reference”, connecting to the server. Keys that are not
//! known are ignored: devices send more than is documented.
use crate::plist::{Dictionary, PlistFault, Read, Value, read};

/// The longest text that is taken as an identifier or a name.
const MAX_TEXT: usize = 256;
/// The longest push token, unlock token or bootstrap token.
const MAX_TOKEN: usize = 64 * 1024;
/// How many causes of an error are kept.
const MAX_CAUSES: usize = 16;

/// Why a body is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    #[error(transparent)]
    Plist(#[from] PlistFault),
    #[error("the message has neither a “MessageType” nor a “Status”")]
    Neither,
    #[error("a message of the unknown type “{0}”")]
    UnknownType(String),
    #[error("a report with the unknown status “{0}”")]
    UnknownStatus(String),
    #[error("“{0}” is missing")]
    Missing(&'static str),
    #[error("“{0}” is empty, too long, or has characters that no identifier has")]
    Odd(&'static str),
}

/// Which enrolment speaks, in its own words: only its certificate shows that it is true.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EnrollmentName {
    /// The device's own identifier.
    Udid(String),
    /// That of one enrolment of a personal device, which does not say its own.
    Enrollment(String),
}

impl EnrollmentName {
    /// The identifier.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Udid(it) | Self::Enrollment(it) => it,
        }
    }

    /// Whether it is a personal device's.
    pub const fn is_personal(&self) -> bool {
        matches!(self, Self::Enrollment(_))
    }
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    pub name: EnrollmentName,
    /// Of a user of a Mac, whose channel is another one.
    pub user: Option<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub speaker: Speaker,
    pub content: Content,
}

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    CheckIn(CheckIn),
    Report(Report),
}

/// A check-in message, from enrolment to its end.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckIn {
    /// The device begins to enroll. It counts only once a [`CheckIn::TokenUpdate`] follows.
    Authenticate(Box<Identity>),
    /// Where the device is reached.
    TokenUpdate(Box<PushAddress>),
    /// The device says that it is managed no more; many never do.
    CheckOut {
        topic: String,
    },
    /// A user of a Mac signs in.
    UserAuthenticate {
        has_digest: bool,
    },
    SetBootstrapToken {
        token: Option<Token>,
    },
    GetBootstrapToken,
    GetToken {
        service: String,
    },
    DeclarativeManagement {
        endpoint: String,
        data: Option<Vec<u8>>,
    },
}

/// What a device says of itself when it enrolls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub topic: String,
    pub device_name: String,
    pub model: String,
    pub model_name: String,
    pub product_name: String,
    pub os_version: String,
    pub build_version: String,
    /// Not of a personal device.
    pub serial_number: String,
}

/// Bytes that whoever has them can use; no log shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// Where a device is reached by push, and what unlocks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushAddress {
    pub topic: String,
    pub token: Token,
    pub magic: String,
    /// What removes the passcode of an iPhone or iPad.
    pub unlock_token: Option<Token>,
    pub awaits_configuration: bool,
}

/// How far a command came, or that the device has nothing to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: Status,
    /// Of the command it is about; none if idle.
    pub command: Option<String>,
    pub causes: Vec<Cause>,
    /// The whole answer, for whoever asked.
    pub answer: Dictionary,
}

/// The word that a report begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Idle,
    Acknowledged,
    /// It may still have been done: see the command.
    Error,
    CommandFormatError,
    /// The device cannot at the moment, and asks again by itself.
    NotNow,
}

/// One link of the chain of causes of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub domain: String,
    pub code: i64,
    pub description: String,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { domain, code, description } = self;
        if description.is_empty() {
            write!(formatter, "{domain} {code}")
        } else {
            write!(formatter, "{description} ({domain} {code})")
        }
    }
}

impl Status {
    /// Apple's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Acknowledged => "Acknowledged",
            Self::Error => "Error",
            Self::CommandFormatError => "CommandFormatError",
            Self::NotNow => "NotNow",
        }
    }

    fn parse(word: &str) -> Result<Self, MessageFault> {
        Ok(match word {
            "Idle" => Self::Idle,
            "Acknowledged" => Self::Acknowledged,
            "Error" => Self::Error,
            "CommandFormatError" => Self::CommandFormatError,
            "NotNow" => Self::NotNow,
            other => return Err(MessageFault::UnknownStatus(shortened(other))),
        })
    }
}

impl Message {
    /// Reads a body. What it is decides what is in it, not how it came: devices leave out or mistake content types.
    ///
    /// # Errors
    /// Why it is no message.
    pub fn parse(body: &[u8]) -> Result<Self, MessageFault> {
        let dictionary = read(body)?;
        let speaker = speaker(&dictionary)?;
        let content = match (dictionary.text("MessageType"), dictionary.text("Status")) {
            (Some(kind), _) => Content::CheckIn(check_in(kind, &dictionary)?),
            (None, Some(word)) => {
                let status = Status::parse(word)?;
                Content::Report(report(status, dictionary)?)
            }
            (None, None) => return Err(MessageFault::Neither),
        };
        Ok(Self { speaker, content })
    }
}

fn speaker(said: &Dictionary) -> Result<Speaker, MessageFault> {
    // Some send both: the certificate is of the device's own identifier then.
    let name = match (said.text("UDID"), said.text("EnrollmentID")) {
        (Some(_), _) => EnrollmentName::Udid(identifier(said, "UDID")?),
        (None, Some(_)) => EnrollmentName::Enrollment(identifier(said, "EnrollmentID")?),
        (None, None) => return Err(MessageFault::Missing("UDID")),
    };
    let user = ["UserID", "EnrollmentUserID"].into_iter().find(|it| said.text(it).is_some());
    let user = user.map(|it| identifier(said, it)).transpose()?;
    Ok(Speaker { name, user })
}

fn check_in(kind: &str, said: &Dictionary) -> Result<CheckIn, MessageFault> {
    Ok(match kind {
        "Authenticate" => CheckIn::Authenticate(Box::new(identity(said)?)),
        "TokenUpdate" => CheckIn::TokenUpdate(Box::new(push_address(said)?)),
        "CheckOut" => CheckIn::CheckOut { topic: text(said, "Topic") },
        "UserAuthenticate" => {
            CheckIn::UserAuthenticate { has_digest: said.text("DigestResponse").is_some_and(|it| !it.is_empty()) }
        }
        "SetBootstrapToken" => CheckIn::SetBootstrapToken { token: token(said, "BootstrapToken")? },
        "GetBootstrapToken" => CheckIn::GetBootstrapToken,
        "GetToken" => CheckIn::GetToken { service: identifier(said, "TokenServiceType")? },
        "DeclarativeManagement" => CheckIn::DeclarativeManagement {
            endpoint: identifier(said, "Endpoint")?,
            data: said.data("Data").map(<[u8]>::to_vec),
        },
        other => return Err(MessageFault::UnknownType(shortened(other))),
    })
}

fn identity(said: &Dictionary) -> Result<Identity, MessageFault> {
    Ok(Identity {
        topic: identifier(said, "Topic")?,
        device_name: text(said, "DeviceName"),
        model: text(said, "Model"),
        model_name: text(said, "ModelName"),
        product_name: text(said, "ProductName"),
        os_version: text(said, "OSVersion"),
        build_version: text(said, "BuildVersion"),
        serial_number: text(said, "SerialNumber"),
    })
}

fn push_address(said: &Dictionary) -> Result<PushAddress, MessageFault> {
    Ok(PushAddress {
        topic: identifier(said, "Topic")?,
        token: token(said, "Token")?.filter(|it| !it.0.is_empty()).ok_or(MessageFault::Missing("Token"))?,
        magic: identifier(said, "PushMagic")?,
        unlock_token: token(said, "UnlockToken")?,
        awaits_configuration: said.flag("AwaitingConfiguration").unwrap_or(false),
    })
}

fn report(status: Status, said: Dictionary) -> Result<Report, MessageFault> {
    let command = match status {
        Status::Idle => None,
        Status::Acknowledged | Status::Error | Status::CommandFormatError | Status::NotNow => {
            Some(identifier(&said, "CommandUUID")?)
        }
    };
    let causes = said.list("ErrorChain").iter().filter_map(Value::as_dictionary).take(MAX_CAUSES).map(cause).collect();
    Ok(Report { status, command, causes, answer: said })
}

fn cause(said: &Dictionary) -> Cause {
    let description = ["USEnglishDescription", "LocalizedDescription"].into_iter().find_map(|it| said.text(it));
    Cause {
        domain: text(said, "ErrorDomain"),
        code: said.number("ErrorCode").unwrap_or(0),
        description: shortened(description.unwrap_or_default()),
    }
}

/// A short text without control characters; none is an empty one.
fn text(said: &Dictionary, key: &str) -> String {
    shortened(said.text(key).unwrap_or_default())
}

/// What a person reads of a device's text.
fn shortened(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(MAX_TEXT).collect::<String>().trim().to_owned()
}

fn identifier(said: &Dictionary, key: &'static str) -> Result<String, MessageFault> {
    let found = said.text(key).ok_or(MessageFault::Missing(key))?;
    let is_odd = |it: char| it.is_control() || it.is_whitespace();
    if found.is_empty() || found.len() > MAX_TEXT || found.chars().any(is_odd) {
        return Err(MessageFault::Odd(key));
    }
    Ok(found.to_owned())
}

fn token(said: &Dictionary, key: &'static str) -> Result<Option<Token>, MessageFault> {
    match said.data(key) {
        Some(token) if token.len() > MAX_TOKEN => Err(MessageFault::Odd(key)),
        found => Ok(found.map(|it| Token(it.to_vec()))),
    }
}

#[cfg(test)]
mod tests;
