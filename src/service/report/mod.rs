//! What pages and the command line report about devices in JSON and CSV.
mod device;
mod row;

pub use device::{
    CommandRow, CopyProofReport, CopyReport, DeviceReport, EvidenceReport, PointRow, PolicyResult, TestRow, device,
};
pub use row::{CSV_COLUMNS, DeviceRow, harmless, proof_word, rows};
