//! What a form was shown with, so that nobody unknowingly overwrites what somebody else changed in the
//! meantime.
use serde::{Deserialize, Serialize};

/// The fields of a form as they were when it was shown, each under its label.
///
/// It goes out with the form as its `version` and comes back with what was typed. It is compared with the fields as
/// they are now, so that a refusal can say what changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown(Vec<(String, String)>);

impl Shown {
    pub fn new<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(fields.into_iter().map(|(label, value)| (label.to_owned(), value)).collect())
    }

    /// What the form carries.
    pub fn version(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Compares these fields, as they are now, with the `version` a form came back with.
    ///
    /// # Errors
    /// What has changed since the form was shown, as a text for whoever sent it.
    pub fn check(&self, version: &str) -> Result<(), String> {
        let Ok(before) = serde_json::from_str::<Self>(version) else {
            return Err(
                "This form does not say which values it was shown with. Check the current values, and send it \
                 again."
                    .to_owned(),
            );
        };
        if before == *self {
            return Ok(());
        }
        let was = |label: &str| before.0.iter().find(|(it, _)| it == label).map_or("", |(_, value)| value.as_str());
        let changes: Vec<_> = self
            .0
            .iter()
            .filter(|(label, now)| was(label) != now)
            .map(|(label, now)| format!("{label} changed from {} to {}.", quoted(was(label)), quoted(now)))
            .collect();
        Err(format!(
            "Somebody changed this while you were editing. {} What you typed is kept below: send it again to set it \
             anyway.",
            changes.join(" ")
        ))
    }
}

fn quoted(value: &str) -> String {
    // What comes back with a form may be of any length.
    let short: String = value.chars().take(200).collect();
    if short.is_empty() { "nothing".to_owned() } else { format!("“{short}”") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, person: &str) -> Shown {
        Shown::new([("Name", name.to_owned()), ("Person", person.to_owned())])
    }

    #[test]
    fn a_form_shown_with_the_current_values_passes() {
        let now = shown("laptop \"1\"", "");
        assert_eq!(now.check(&now.version()), Ok(()));
    }

    #[test]
    fn what_changed_in_the_meantime_is_named() {
        let refused = shown("laptop-2", "Bob").check(&shown("laptop-1", "Bob").version()).unwrap_err();
        assert!(
            refused.contains("Name changed from “laptop-1” to “laptop-2”.") && !refused.contains("Person"),
            "{refused}"
        );
        let refused = shown("laptop-2", "").check(&shown("laptop-2", "Bob").version()).unwrap_err();
        assert!(refused.contains("Person changed from “Bob” to nothing."), "{refused}");
    }

    #[test]
    fn an_invalid_version_overwrites_nothing() {
        let long = format!("[[\"Name\",\"{}\"]]", "x".repeat(100_000));
        for version in ["", "1", "null", "[]", "{}", "[[\"Name\"]]", "[[\"Name\",1]]", "[[[[[[", &long] {
            let refused = shown("a", "b").check(version).unwrap_err();
            assert!(refused.len() < 2_000, "{version}");
        }
    }
}
