//! The order of a list, and the place in it where a page begins.
use super::condition::{LOST_ORDER, PART_ORDER};
use super::filter::Values;
use super::sql::Sql;
use domain::id::DeviceId;

/// What a list is sorted by; the device's id decides among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Worst proof first: failed, never, reported, stored, verified, partly proven, then by when the proof
    /// expires.
    #[default]
    Worst,
    Name,
    Person,
    /// Not encrypted, unknown, encrypted.
    Encryption,
    ProvenAt,
    NewestBackup,
    /// What a wipe would lose now: everything, recent work, not known, nothing.
    IfWiped,
    /// The number of policies a device fails, then of those that are unknown.
    Failing,
    LastSeen,
}

/// What an order compares before the ids.
enum Keys {
    Text(&'static str),
    One(&'static str),
    Two(&'static str, &'static str),
}

impl Sort {
    /// Every order.
    pub const ALL: &'static [Self] = &[
        Self::Worst,
        Self::Name,
        Self::Person,
        Self::Encryption,
        Self::ProvenAt,
        Self::NewestBackup,
        Self::IfWiped,
        Self::Failing,
        Self::LastSeen,
    ];

    /// The word in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Name => "name",
            Self::Person => "person",
            Self::Encryption => "encryption",
            Self::ProvenAt => "proven_at",
            Self::NewestBackup => "newest_backup",
            Self::IfWiped => "loss",
            Self::Failing => "failing",
            Self::LastSeen => "last_seen",
        }
    }

    /// The order of a word; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }

    /// No key is ever null: rows that compare as unknown would be on no page.
    const fn keys(self) -> Keys {
        match self {
            Self::Worst => Keys::Two("l.rank", "l.proven_until"),
            Self::Name => Keys::Text("l.name"),
            Self::Person => Keys::Text("l.person"),
            Self::Encryption => {
                Keys::One("CAST(CASE l.encryption WHEN 'off' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END AS BIGINT)")
            }
            Self::ProvenAt => Keys::One("l.proven_at"),
            Self::NewestBackup => Keys::One("l.newest_at"),
            Self::IfWiped => Keys::Two(PART_ORDER, LOST_ORDER),
            Self::Failing => Keys::One("coalesce(f.score, 0)"),
            Self::LastSeen => Keys::One("coalesce(s.last_seen_at, 0)"),
        }
    }

    const fn id_column(self) -> &'static str {
        match self {
            // The index of check-ins has its own copy of the id.
            Self::LastSeen => "s.device_id",
            Self::Worst
            | Self::Name
            | Self::Person
            | Self::Encryption
            | Self::ProvenAt
            | Self::NewestBackup
            | Self::IfWiped
            | Self::Failing => "l.device_id",
        }
    }

    /// Whether an index has the rows in this order.
    pub(super) const fn has_index(self) -> bool {
        match self {
            Self::Worst | Self::Name | Self::ProvenAt | Self::NewestBackup | Self::LastSeen => true,
            Self::Person | Self::Encryption | Self::IfWiped | Self::Failing => false,
        }
    }

    /// Writes what is sorted by as the columns `text`, `major` and `minor`.
    pub(super) fn write_columns(self, sql: &mut Sql, values: &Values) {
        const NO_TEXT: &str = "''";
        const NOTHING: &str = "CAST(0 AS BIGINT)";
        let (text, major, minor) = match self.keys() {
            Keys::Text(text) => (text, NOTHING, NOTHING),
            Keys::One(major) => (NO_TEXT, major, NOTHING),
            Keys::Two(major, minor) => (NO_TEXT, major, minor),
        };
        for (key, name) in [(text, "text"), (major, "major"), (minor, "minor")] {
            sql.push(", ");
            values.write_bare(sql, key);
            sql.push(" AS ").push(name);
        }
    }

    fn write_keys(self, sql: &mut Sql, values: &Values, after_each: &str) {
        let keys = match self.keys() {
            Keys::Text(key) | Keys::One(key) => vec![key],
            Keys::Two(major, minor) => vec![major, minor],
        };
        for key in keys {
            values.write_bare(sql, key);
            sql.push(after_each).push(", ");
        }
        sql.push(self.id_column()).push(after_each);
    }

    pub(super) fn write_order(self, sql: &mut Sql, values: &Values, descending: bool) {
        sql.push(" ORDER BY ");
        self.write_keys(sql, values, if descending { " DESC" } else { " ASC" });
    }

    /// Writes that a row comes after `cursor` in the direction of reading.
    pub(super) fn write_beyond(self, sql: &mut Sql, values: &Values, cursor: &Cursor, descending: bool) {
        sql.push(" AND (");
        self.write_keys(sql, values, "");
        sql.push(if descending { ") < (" } else { ") > (" });
        match (&cursor.key, self.keys()) {
            (Key::Text(text), _) => sql.bind_text(text.as_str()),
            (Key::Numbers(major, minor), Keys::Two(..)) => sql.bind_int(*major).push(", ").bind_int(*minor),
            (Key::Numbers(major, _), Keys::One(_) | Keys::Text(_)) => sql.bind_int(*major),
        };
        sql.push(", ").bind_text(cursor.id.as_str()).push(")");
    }

    pub(super) fn cursor(self, id: DeviceId, text: &str, (major, minor): (i64, i64)) -> Cursor {
        let key = match self.keys() {
            Keys::Text(_) => Key::Text(text.to_owned()),
            Keys::One(_) | Keys::Two(..) => Key::Numbers(major, minor),
        };
        Cursor { key, id }
    }
}

/// A row's place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub key: Key,
    pub id: DeviceId,
}

/// What the row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Numbers(i64, i64),
    Text(String),
}

impl Cursor {
    /// The cursor as a URL carries it.
    pub fn encode(&self) -> String {
        match &self.key {
            Key::Numbers(major, minor) => format!("{major}~{minor}~{}", self.id),
            Key::Text(text) => format!("{text}~{}", self.id),
        }
    }

    /// Reads a cursor of `sort`; none for any other text.
    pub fn parse(sort: Sort, text: &str) -> Option<Self> {
        // From the end: a name may contain the sign, an id does not.
        let (key, id) = text.rsplit_once('~')?;
        let id = DeviceId::parse(id)?;
        let key = match sort.keys() {
            Keys::Text(_) => Key::Text(key.to_owned()),
            Keys::One(_) | Keys::Two(..) => {
                let (major, minor) = key.split_once('~')?;
                Key::Numbers(major.parse().ok()?, minor.parse().ok()?)
            }
        };
        Some(Self { key, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Time;

    #[test]
    fn a_cursor_survives_the_url_with_any_name() {
        let id = DeviceId::generate(Time::from_millis(1_795_356_371_000));
        for (sort, key) in [
            (Sort::Worst, Key::Numbers(5, 1_795_356_371_000)),
            (Sort::Name, Key::Text("a~b~c".to_owned())),
            (Sort::Person, Key::Text(String::new())),
        ] {
            let cursor = Cursor { key, id };
            assert_eq!(Cursor::parse(sort, &cursor.encode()), Some(cursor));
        }
    }

    #[test]
    fn what_is_not_a_cursor_is_none() {
        for text in ["", "~", "1~2", "1~2~3", "x~y~0190163d-8694-739b-aea5-966c26f8ad90"] {
            assert_eq!(Cursor::parse(Sort::Worst, text), None, "{text}");
        }
    }
}
