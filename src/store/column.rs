//! Columns that hold JSON.

/// Reads a column that holds JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> diesel::QueryResult<T> {
    serde_json::from_str(text).map_err(|error| diesel::result::Error::DeserializationError(Box::new(error)))
}

/// Writes what [`from_json`] reads.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> diesel::QueryResult<String> {
    serde_json::to_string(value).map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))
}
