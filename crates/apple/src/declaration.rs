//! Declarative management: what a device fetches by itself once it was told that something changed, and what it reports.
//!
//! Source: Apple, `declarative` of the schema. All of it is JSON inside of the device's check-ins.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most items that are read of a report.
const MAX_ITEMS: usize = 1_000;

/// Which part of what is declared something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Activation,
    Asset,
    Configuration,
    Management,
}

/// One declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    pub part: Part,
    /// Such as `com.apple.configuration.passcode.settings`.
    pub kind: String,
    pub identifier: String,
    pub payload: Value,
}

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether anything changed.
    Tokens,
    /// What there is.
    Items,
    One {
        part: Part,
        identifier: String,
    },
    /// It reports.
    Status,
}

impl Endpoint {
    /// Reads what stands in a check-in's `Endpoint`; none for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "tokens" => return Some(Self::Tokens),
            "declaration-items" => return Some(Self::Items),
            "status" => return Some(Self::Status),
            _ => {}
        }
        let (part, identifier) = text.strip_prefix("declaration/")?.split_once('/')?;
        let part = match part {
            "activation" => Part::Activation,
            "asset" => Part::Asset,
            "configuration" => Part::Configuration,
            "management" => Part::Management,
            _ => return None,
        };
        Some(Self::One { part, identifier: identifier.to_owned() }).filter(|_| !identifier.is_empty())
    }
}

impl Declaration {
    /// What tells a device that it changed; the same for the same content. `digest` gives a text for bytes.
    pub fn token(&self, digest: &dyn Fn(&[u8]) -> String) -> String {
        digest(format!("{}\n{}\n{}", self.kind, self.identifier, self.payload).as_bytes())
    }

    /// As a device gets it.
    pub fn json(&self, digest: &dyn Fn(&[u8]) -> String) -> Value {
        json!({
            "Type": self.kind,
            "Identifier": self.identifier,
            "ServerToken": self.token(digest),
            "Payload": self.payload,
        })
    }
}

/// What a device shall have: the tokens, the list, and each declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared(pub Vec<Declaration>);

impl Declared {
    /// Everything of a device: these configurations, and one activation that switches them on.
    pub fn activated(identifier: &str, configurations: Vec<Declaration>) -> Self {
        let names: Vec<_> = configurations.iter().map(|it| it.identifier.clone()).collect();
        let activation = Declaration {
            part: Part::Activation,
            kind: "com.apple.activation.simple".to_owned(),
            identifier: identifier.to_owned(),
            payload: json!({ "StandardConfigurations": names }),
        };
        Self([vec![activation], configurations].concat())
    }

    /// What tells a device that any of it changed.
    pub fn token(&self, digest: &dyn Fn(&[u8]) -> String) -> String {
        digest(self.0.iter().map(|it| it.token(digest)).collect::<Vec<_>>().join("\n").as_bytes())
    }

    /// The answer to `tokens`, and the data of a command; `now` is a time as RFC 3339 has it.
    pub fn tokens(&self, now: &str, digest: &dyn Fn(&[u8]) -> String) -> Value {
        json!({ "SyncTokens": { "Timestamp": now, "DeclarationsToken": self.token(digest) } })
    }

    /// The answer to `declaration-items`.
    pub fn items(&self, digest: &dyn Fn(&[u8]) -> String) -> Value {
        let of = |part| -> Vec<Value> {
            let of = self.0.iter().filter(|it| it.part == part);
            of.map(|it| json!({ "Identifier": it.identifier, "ServerToken": it.token(digest) })).collect()
        };
        json!({
            "Declarations": {
                "Activations": of(Part::Activation),
                "Assets": of(Part::Asset),
                "Configurations": of(Part::Configuration),
                "Management": of(Part::Management),
            },
            "DeclarationsToken": self.token(digest),
        })
    }

    /// One of them.
    pub fn find(&self, part: Part, identifier: &str) -> Option<&Declaration> {
        self.0.iter().find(|it| it.part == part && it.identifier == identifier)
    }
}

/// What a device is asked to report by itself, whenever it changes.
pub fn subscriptions(identifier: &str, items: &[&str]) -> Declaration {
    let items: Vec<_> = items.iter().map(|it| json!({ "Name": it })).collect();
    Declaration {
        part: Part::Configuration,
        kind: "com.apple.configuration.management.status-subscriptions".to_owned(),
        identifier: identifier.to_owned(),
        payload: json!({ "StatusItems": items }),
    }
}

/// What a device reports.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Report {
    pub status_items: Map<String, Value>,
    pub errors: Vec<ReportError>,
    pub full_report: bool,
}

/// What a device could not report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReportError {
    pub status_item: String,
}

impl Report {
    /// Reads one; `None` if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(bytes).ok()?;
        // A list would be taken for a report whose fields are in order.
        let report: Self = serde_json::from_value(json.is_object().then_some(json)?).ok()?;
        (report.status_items.len() <= MAX_ITEMS && report.errors.len() <= MAX_ITEMS).then_some(report)
    }

    /// A value by its dotted name, such as `device.operating-system.version`.
    pub fn item(&self, name: &str) -> Option<&Value> {
        let mut parts = name.split('.');
        let mut at = self.status_items.get(parts.next()?)?;
        for part in parts {
            at = at.get(part)?;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> String {
        // Good enough to tell different ones apart here.
        format!("{:016x}", bytes.iter().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte))))
    }

    fn declared() -> Declared {
        Declared::activated("holdfast.on", vec![subscriptions("holdfast.status", &["passcode.is-compliant"])])
    }

    #[test]
    fn each_thing_that_a_device_may_ask_for_is_understood_and_nothing_else() {
        let one = Endpoint::One { part: Part::Configuration, identifier: "a/b".to_owned() };
        for (text, found) in [
            ("tokens", Some(Endpoint::Tokens)),
            ("declaration-items", Some(Endpoint::Items)),
            ("status", Some(Endpoint::Status)),
            ("declaration/configuration/a/b", Some(one)),
            ("declaration/configuration/", None),
            ("declaration/other/a", None),
            ("declaration", None),
            ("", None),
            ("Tokens", None),
        ] {
            assert_eq!(Endpoint::parse(text), found, "{text}");
        }
    }

    #[test]
    fn what_changes_has_another_token_and_what_does_not_has_the_same() {
        let token = |it: &Declared| it.token(&digest);
        assert_eq!(token(&declared()), token(&declared()));
        let more = subscriptions("holdfast.status", &["passcode.is-compliant", "device.model.family"]);
        assert_ne!(token(&declared()), token(&Declared::activated("holdfast.on", vec![more])));
        let items = declared().items(&digest);
        let listed = &items["Declarations"]["Configurations"][0]["ServerToken"];
        let found =
            declared().find(Part::Configuration, "holdfast.status").map(|it| it.json(&digest)["ServerToken"].clone());
        assert_eq!(found.as_ref(), Some(listed));
        assert_eq!(declared().find(Part::Asset, "holdfast.status"), None);
    }

    #[test]
    fn a_report_is_read_by_dotted_names_and_what_is_none_is_refused() {
        let report =
            br#"{"StatusItems":{"device":{"operating-system":{"version":"18.1"}},"passcode":{"is-compliant":true}}}"#;
        let report = Report::parse(report).unwrap_or_default();
        assert_eq!(report.item("device.operating-system.version"), Some(&json!("18.1")));
        assert_eq!(report.item("passcode.is-compliant"), Some(&json!(true)));
        for missing in ["device.model", "passcode.is-compliant.more", "", "."] {
            assert_eq!(report.item(missing), None, "{missing}");
        }
        let deep = format!("{{\"StatusItems\":{}{}}}", "{\"a\":".repeat(200), "}".repeat(200));
        let many: String = (0..=MAX_ITEMS).map(|it| format!("\"a{it}\":1,")).collect();
        let many = format!("{{\"StatusItems\":{{{many}\"b\":1}}}}");
        for bad in ["", "[]", "{\"StatusItems\":1}", deep.as_str(), many.as_str(), "{\"Errors\":[1]}"] {
            assert_eq!(Report::parse(bad.as_bytes()), None, "{}", bad.get(..60).unwrap_or(bad));
        }
    }
}
