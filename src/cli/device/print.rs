//! Devices in words and tables.
use crate::cli::output::{Table, plain, print};
use crate::service::report::{CommandRow, DeviceReport, DeviceRow, PointRow, TestRow};
use domain::space::Space;
use domain::words::{files, number};

pub(super) fn print_devices(rows: &[DeviceRow]) {
    let mut table =
        Table::new(&["ID", "NAME", "SERIAL", "PERSON", "ENCRYPTED", "PROOF", "PROVEN AS OF", "IF WIPED NOW"]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.name.clone(),
            row.serial.clone(),
            row.person.clone(),
            row.encryption.to_string(),
            row.grade.name().to_owned(),
            row.proven_as_of.clone().unwrap_or_else(|| "never".to_owned()),
            row.if_wiped_now.clone(),
        ]);
    }
    print(&table.text());
}

pub(super) fn command_table(rows: &[CommandRow]) -> Table {
    let mut table = Table::new(&["ID", "DEVICE", "COMMAND", "STATE", "ASKED", "ENDED", "RESULT"]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.device.to_string(),
            row.kind.name().to_owned(),
            row.state.to_string(),
            row.created_at.clone(),
            row.finished_at.clone().unwrap_or_default(),
            row.result.clone().unwrap_or_default(),
        ]);
    }
    table
}

pub(super) fn print_device(told: &DeviceReport) {
    let row = &told.row;
    let or = |it: &Option<String>, otherwise: &str| it.clone().unwrap_or_else(|| otherwise.to_owned());
    let lines = [
        ("Device", format!("{} ({})", row.name, row.id)),
        ("Person", row.person.clone()),
        ("Team", or(&row.team, "none")),
        ("Serial", row.serial.clone()),
        ("Model", row.model.clone()),
        ("System", format!("{} {}", row.platform.name(), row.os_version)),
        ("Checked in", or(&row.last_seen_at, "never")),
        ("Encrypted", row.encryption.to_string()),
        ("Proof", proof(told)),
        ("Proven as of", or(&row.proven_as_of, "never")),
        ("Newest backup", or(&row.newest_backup_at, "none")),
        ("Space", told.space.map_or_else(|| "none".to_owned(), Space::words)),
        ("If wiped now", row.if_wiped_now.clone()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name:<15}{}\n", plain(&value)));
    }
    for it in &told.policies {
        text.push_str(&format!("{:<15}{}: {} ({})\n", "Policy", plain(&it.policy), it.sentence, it.result.as_str()));
    }
    for (title, table) in [
        ("Restore points", points(&told.restore_points)),
        ("Restore tests", tests(&told.restore_tests)),
        ("Commands", command_table(&told.commands)),
    ] {
        text.push_str(&format!("\n{title}\n{}", table.text()));
    }
    print(&text);
}

fn points(rows: &[PointRow]) -> Table {
    let mut table = Table::new(&["ID", "RECEIVED", "FILES", "BYTES", "VERIFIED", "PROVEN", "FAILED"]);
    let number = |it: Option<i64>| it.map(|it| it.to_string()).unwrap_or_default();
    for row in rows {
        let or_empty = |it: &Option<String>| it.clone().unwrap_or_default();
        table.row([
            row.id.to_string(),
            row.received_at.clone(),
            number(row.file_count),
            number(row.size_bytes),
            or_empty(&row.verified_at),
            or_empty(&row.proven_at),
            or_empty(&row.failed_at),
        ]);
    }
    table
}

pub(in crate::cli) fn tests<'a>(rows: impl IntoIterator<Item = &'a TestRow>) -> Table {
    let mut table = Table::new(&["ID", "DEVICE", "QUEUED", "ENDED", "RESULT", "MATCHED"]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.device.to_string(),
            row.queued_at.clone(),
            row.finished_at.clone().unwrap_or_default(),
            row.result.map_or_else(|| row.state.to_string(), |it| it.to_string()),
            format!("{} of {}", row.matched_count, row.file_count),
        ]);
    }
    table
}

/// The grade, and how much of the proven point matched, if there is one.
fn proof(told: &DeviceReport) -> String {
    let grade = told.row.grade.name();
    match &told.row.proven_as_of {
        Some(_) => format!("{grade}, {} of {}", number(told.evidence.matched_count), files(told.evidence.file_count)),
        None => grade.to_owned(),
    }
}
