//! Comparing what is sent with the schema.
use super::{Key, Limit, Schema};
use crate::plist::{Dictionary, Read, Value};
use crate::target::{System, Target, Version};
use std::collections::BTreeMap;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Such as `EraseDevice.ReturnToService.Enabled`.
    pub at: String,
    pub why: String,
}

/// What every command may carry besides its own keys.
const OF_EVERY_COMMAND: [&str; 2] = ["RequestType", "RequestRequiresNetworkTether"];
/// What every payload may carry besides its own keys.
const OF_EVERY_PAYLOAD: &str = "CommonPayloadKeys";

/// What is wrong with a message to a device: a dictionary with `Command` and `CommandUUID`.
pub fn check_command(message: &Dictionary, target: &Target) -> Vec<Fault> {
    let mut found = Faults::new(target);
    found.unknown("", message, |key| matches!(key, "Command" | "CommandUUID"));
    if message.text("CommandUUID").is_none_or(str::is_empty) {
        found.add("CommandUUID", "is missing");
    }
    let Some(command) = message.dictionary("Command") else {
        found.add("Command", "is missing");
        return found.all;
    };
    let name = command.text("RequestType").unwrap_or_default().to_owned();
    let Some(item) = Schema::get().command(&name) else {
        found.add(&name, "is no command");
        return found.all;
    };
    found.item(&name, &item.on);
    let own: Dictionary = command
        .iter()
        .filter(|(key, _)| !OF_EVERY_COMMAND.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    found.dictionary(&name, &own, &item.keys);
    found.all
}

/// What is wrong with one payload of a profile.
pub fn check_payload(payload: &Dictionary, target: &Target) -> Vec<Fault> {
    let mut found = Faults::new(target);
    let name = payload.text("PayloadType").unwrap_or_default().to_owned();
    let schema = Schema::get();
    let common = schema.profiles.iter().find(|it| it.name == OF_EVERY_PAYLOAD).map_or(&[][..], |it| &it.keys);
    let items: Vec<_> = schema.payloads(&name).collect();
    if items.is_empty() {
        found.add(&name, "is no payload of this schema");
        return found.all;
    }
    for it in &items {
        found.item(&name, &it.on);
    }
    let (shared, own): (Vec<_>, Vec<_>) = payload.iter().partition(|(key, _)| common.iter().any(|it| it.key == **key));
    let collect =
        |of: Vec<(&String, &Value)>| of.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let (shared, own): (Dictionary, Dictionary) = (collect(shared), collect(own));
    found.dictionary(&name, &shared, common);
    // Several files may describe one type: what one of them takes is right.
    let best = items.iter().map(|item| {
        let mut faults = Faults::new(target);
        faults.dictionary(&name, &own, &item.keys);
        faults.all
    });
    found.all.extend(best.min_by_key(Vec::len).unwrap_or_default());
    found.all
}

/// What is wrong with a profile itself; its payloads are checked one by one.
pub fn check_profile(profile: &Dictionary, target: &Target) -> Vec<Fault> {
    let mut found = Faults::new(target);
    let items = Schema::get().profiles.iter().filter(|it| it.file == "TopLevel" || it.file == OF_EVERY_PAYLOAD);
    let keys: Vec<_> = items.flat_map(|it| &it.keys).collect();
    found.unknown("", profile, |key| keys.iter().any(|it| it.key == key));
    for key in Schema::get().profiles.iter().filter(|it| it.file == "TopLevel").flat_map(|it| &it.keys) {
        match profile.get(&key.key) {
            Some(value) => found.value(&key.key, value, key),
            None if key.required => found.add(&key.key, "is missing"),
            None => {}
        }
    }
    found.all
}

/// What is wrong with a declaration as a device gets it.
pub fn check_declaration(declaration: &serde_json::Value, target: &Target) -> Vec<Fault> {
    let schema = Schema::get();
    let mut found = Faults::new(target);
    let base = schema.declarations.iter().find(|it| it.file == "declarationbase").map_or(&[][..], |it| &it.keys);
    let Some(said) = as_dictionary(declaration) else {
        found.add("", "is no dictionary");
        return found.all;
    };
    found.dictionary("", &said, base);
    let kind = said.text("Type").unwrap_or_default().to_owned();
    match schema.declarations.iter().find(|it| it.name == kind) {
        Some(item) => {
            found.item(&kind, &item.on);
            found.dictionary(&kind, &said.dictionary("Payload").cloned().unwrap_or_default(), &item.keys);
        }
        None => found.add(&kind, "is no declaration of this schema"),
    }
    found.all
}

/// What is wrong with an answer of the declarative protocol, by the file that describes it.
pub fn check_protocol(file: &str, answer: &serde_json::Value, target: &Target) -> Vec<Fault> {
    let mut found = Faults::new(target);
    match (Schema::get().protocol.iter().find(|it| it.file == file), as_dictionary(answer)) {
        (Some(item), Some(answer)) => found.dictionary(file, &answer, &item.keys),
        _ => found.add(file, "is not described"),
    }
    found.all
}

/// JSON as the same values of a property list.
fn as_dictionary(json: &serde_json::Value) -> Option<Dictionary> {
    let object = json.as_object()?;
    object.iter().map(|(key, value)| Some((key.clone(), as_value(value)?))).collect()
}

fn as_value(json: &serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match json {
        Json::Null => return None,
        Json::Bool(it) => Value::Boolean(*it),
        Json::Number(it) => {
            it.as_i64().map_or_else(|| Value::Real(it.as_f64().unwrap_or(f64::NAN)), |it| Value::Integer(it.into()))
        }
        Json::String(it) => Value::String(it.clone()),
        Json::Array(all) => Value::Array(all.iter().map(as_value).collect::<Option<_>>()?),
        Json::Object(_) => Value::Dictionary(as_dictionary(json)?),
    })
}

struct Faults<'a> {
    target: &'a Target,
    all: Vec<Fault>,
}

impl<'a> Faults<'a> {
    const fn new(target: &'a Target) -> Self {
        Self { target, all: Vec::new() }
    }

    fn add(&mut self, at: &str, why: impl Into<String>) {
        self.all.push(Fault { at: at.to_owned(), why: why.into() });
    }

    fn unknown(&mut self, at: &str, found: &Dictionary, is_known: impl Fn(&str) -> bool) {
        for key in found.keys().filter(|it| !is_known(it)) {
            self.add(&path(at, key), "is no key of it");
        }
    }

    /// Whether the device takes it at all.
    fn item(&mut self, at: &str, on: &BTreeMap<String, Limit>) {
        let Some(limit) = on.get(self.target.system.name()) else { return };
        self.limit(at, limit);
        if limit.right().is_some_and(|it| !self.target.rights.has(it)) {
            self.add(at, "needs a right that the enrolment did not give");
        }
    }

    fn limit(&mut self, at: &str, limit: &Limit) {
        let target = *self.target;
        match limit.since.as_deref() {
            Some("n/a") => self.add(at, format!("is not there on {}", target.system.name())),
            Some(since) if Version::parse(since).is_some_and(|it| target.version < it) => {
                self.add(at, format!("needs {} {since}", target.system.name()));
            }
            Some(_) | None => {}
        }
        if limit.removed.as_deref().and_then(Version::parse).is_some_and(|it| target.version >= it) {
            self.add(at, "was removed");
        }
        if target.is_personal && limit.personal.as_deref() == Some("forbidden") {
            self.add(at, "is forbidden on a personal device");
        }
        if limit.supervised && !target.is_supervised && target.system == System::Ios {
            self.add(at, "needs a supervised device");
        }
    }

    fn dictionary(&mut self, at: &str, found: &Dictionary, keys: &[Key]) {
        if keys.iter().any(|it| it.key == "ANY") {
            return;
        }
        self.unknown(at, found, |key| keys.iter().any(|it| it.key == key));
        for key in keys {
            let place = path(at, &key.key);
            match found.get(&key.key) {
                Some(value) => {
                    if let Some(limit) = key.on.get(self.target.system.name()) {
                        self.limit(&place, limit);
                    }
                    self.value(&place, value, key);
                }
                None if key.required && self.is_there(key) => self.add(&place, "is missing"),
                None => {}
            }
        }
    }

    /// Whether the device knows the key at all.
    fn is_there(&self, key: &Key) -> bool {
        key.on.get(self.target.system.name()).is_none_or(|limit| {
            let is_since = match limit.since.as_deref() {
                Some("n/a") => false,
                Some(since) => Version::parse(since).is_none_or(|it| self.target.version >= it),
                None => true,
            };
            is_since && !(self.target.is_personal && limit.personal.as_deref() == Some("forbidden"))
        })
    }

    fn value(&mut self, at: &str, value: &Value, key: &Key) {
        let is_right = match key.kind.as_str() {
            "string" => value.as_string().is_some(),
            "boolean" => value.as_boolean().is_some(),
            "integer" => value.as_signed_integer().is_some() || value.as_unsigned_integer().is_some(),
            "real" => value.as_real().is_some() || value.as_signed_integer().is_some(),
            "data" => value.as_data().is_some(),
            "date" => value.as_date().is_some(),
            "array" => value.as_array().is_some(),
            "dictionary" => value.as_dictionary().is_some(),
            _ => true,
        };
        if !is_right {
            self.add(at, format!("is no {}", key.kind));
            return;
        }
        self.content(at, value, key);
        if let (Some(found), false) = (value.as_dictionary(), key.keys.is_empty()) {
            self.dictionary(at, found, &key.keys);
        }
        if let (Some(found), [item, ..]) = (value.as_array(), key.keys.as_slice()) {
            for (number, value) in found.iter().enumerate() {
                self.value(&format!("{at}[{number}]"), value, item);
            }
        }
    }

    fn content(&mut self, at: &str, value: &Value, key: &Key) {
        // The allowed texts of a list's items stand as keys below it.
        let among: Vec<String> = key.values.iter().map(plain).collect();
        if let Some(said) = said(value).filter(|it| !among.is_empty() && !among.contains(it)) {
            self.add(at, format!("is `{said}`, which is none of its values"));
        }
        if let Some(range) = &key.range {
            // No range of the schema needs more digits.
            #[expect(clippy::cast_precision_loss)]
            let number = value.as_real().or_else(|| value.as_signed_integer().map(|it| it as f64));
            if number.is_some_and(|it| range.min.is_some_and(|min| it < min) || range.max.is_some_and(|max| it > max)) {
                self.add(at, "is out of its range");
            }
        }
        if let (Some(format), Some(text)) = (&key.format, value.as_string())
            && !has_format(format, text)
        {
            self.add(at, format!("has not the form {format}"));
        }
    }
}

fn path(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn said(value: &Value) -> Option<String> {
    let number = || value.as_signed_integer().map(|it| it.to_string());
    value.as_string().map(ToOwned::to_owned).or_else(number)
}

/// The two forms that the schema has.
fn has_format(format: &str, text: &str) -> bool {
    if format.contains("https") {
        return text.starts_with("https://");
    }
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|it| it == '-' || it.is_ascii_alphanumeric())
}
