//! Lists in a device's answers, and where it says that it is.
use crate::protocol::apple::convert::moment;
use apple::plist::{Dictionary, Read, Value};
use domain::inventory::{Application, Certificate, Inventory, Location, MAX_ENTRIES, Profile};
use domain::name;
use domain::time::Time;

/// The longest text of an entry that is kept, in characters.
const MAX_TEXT: usize = 200;

/// The list in an answer, whatever was asked; none if there is none.
pub fn inventory(answer: &Dictionary) -> Option<Inventory> {
    if answer.contains_key("ProfileList") {
        return Some(Inventory::Profiles(entries(answer, "ProfileList", profile)));
    }
    if answer.contains_key("CertificateList") {
        return Some(Inventory::Certificates(entries(answer, "CertificateList", certificate)));
    }
    if answer.contains_key("InstalledApplicationList") {
        return Some(Inventory::Applications(entries(answer, "InstalledApplicationList", application)));
    }
    location(answer).map(Inventory::Location)
}

fn entries<T>(answer: &Dictionary, key: &str, of: fn(&Dictionary) -> T) -> Vec<T> {
    answer.list(key).iter().filter_map(Value::as_dictionary).take(MAX_ENTRIES).map(of).collect()
}

fn text(said: &Dictionary, key: &str) -> String {
    name::plain(said.text(key).unwrap_or_default()).chars().take(MAX_TEXT).collect()
}

fn profile(said: &Dictionary) -> Profile {
    Profile {
        identifier: text(said, "PayloadIdentifier"),
        name: text(said, "PayloadDisplayName"),
        is_managed: said.flag("IsManaged").unwrap_or_default(),
    }
}

fn certificate(said: &Dictionary) -> Certificate {
    Certificate { name: text(said, "CommonName"), is_identity: said.flag("IsIdentity").unwrap_or_default() }
}

fn application(said: &Dictionary) -> Application {
    let version = text(said, "ShortVersion");
    let version = if version.is_empty() { text(said, "Version") } else { version };
    Application { identifier: text(said, "Identifier"), name: text(said, "Name"), version }
}

fn location(said: &Dictionary) -> Option<Location> {
    let accuracy = said.real("HorizontalAccuracy").filter(|it| *it >= 0.0);
    let at = timestamp(said).map(Time::from_millis);
    let location = Location { latitude: said.real("Latitude")?, longitude: said.real("Longitude")?, accuracy, at };
    location.is_possible().then_some(location)
}

/// Apple's schema says a text in the form of RFC 3339; a date is taken too.
fn timestamp(said: &Dictionary) -> Option<i64> {
    let parsed = || said.text("Timestamp")?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    moment(said, "Timestamp").or_else(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apple::plist::read;

    fn said(inside: &str) -> Option<Inventory> {
        inventory(&read(format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>").as_bytes()).unwrap())
    }

    #[test]
    fn a_place_that_is_none_on_earth_is_not_kept() {
        let at = |latitude: &str| {
            said(&format!(
                "<key>Latitude</key><real>{latitude}</real><key>Longitude</key><real>16.37</real>\
                 <key>HorizontalAccuracy</key><real>12</real><key>Timestamp</key><string>2026-11-12T03:04:05Z</string>"
            ))
        };
        let Some(Inventory::Location(found)) = at("48.2") else { panic!("a place") };
        assert_eq!(found.words(), "48.20000, 16.37000, within 12 m");
        assert_eq!(found.at, Some(Time::from_millis(1_794_452_645_000)));
        assert_eq!(at("91"), None);
        assert_eq!(said("<key>Latitude</key><real>1</real>"), None);
    }

    #[test]
    fn a_list_is_kept_as_far_as_it_is_read_and_no_longer_than_lists_are() {
        let entry = "<dict><key>Identifier</key><string>org.example</string><key>Name</key><string>Mail</string>\
            <key>Version</key><string>7</string></dict>";
        let list =
            format!("<key>InstalledApplicationList</key><array>{}<string>odd</string></array>", entry.repeat(1200));
        let Some(Inventory::Applications(apps)) = said(&list) else { panic!("a list") };
        assert_eq!((apps.len(), apps[0].version.as_str()), (MAX_ENTRIES, "7"));
        assert_eq!(said("<key>ProfileList</key><array/>"), Some(Inventory::Profiles(Vec::new())));
    }
}
