//! What is on a demo device: contacts, calendars, photos, documents and app data.
use super::picture::{pdf, png};
use super::random::Random;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const FIRST: [&str; 16] = [
    "Amara", "Björn", "Chiara", "Dmitri", "Elif", "Farah", "Goran", "Hana", "Ida", "Jonas", "Kaveh", "Lucía", "Mei",
    "Noor", "Oskar", "Priya",
];
const LAST: [&str; 16] = [
    "Abebe",
    "Brandt",
    "Castillo",
    "Dupont",
    "Eriksen",
    "Fischer",
    "Greco",
    "Hoang",
    "Ibrahim",
    "Jansen",
    "Kovács",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
];
const PLACES: [&str; 8] = ["Workshop", "Room 2", "Harbour", "Site A", "Office", "Library", "Depot", "Clinic"];
const MATTERS: [&str; 8] =
    ["Hand-over", "Site visit", "Budget", "Inventory", "Interview", "Delivery", "Review", "Training"];
const WORDS: [&str; 24] = [
    "the", "pump", "was", "checked", "and", "found", "dry", "north", "gate", "order", "arrives", "before", "Friday",
    "signed", "by", "both", "parties", "see", "drawing", "seven", "keep", "a", "copy", "here",
];

/// The kinds of files, with how many of each a device has.
const KINDS: [(&str, u64); 5] =
    [("contacts", 70), ("calendars", 40), ("photos", 60), ("documents", 90), ("app data", 50)];

/// Fills a folder with a few hundred files; returns how many.
///
/// # Errors
/// When a file cannot be written.
pub fn fill(folder: &Path, seed: &str) -> Result<u64> {
    let mut random = Random::new(seed);
    for (kind, count) in KINDS {
        let place = folder.join(kind);
        fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        for number in 1..=count {
            let (name, bytes) = one(kind, number, &mut random);
            let path = place.join(name);
            fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(KINDS.iter().map(|(_, count)| count).sum())
}

/// Changes some files and adds some, as a person at work does.
///
/// # Errors
/// When a file cannot be written.
pub fn work_on(folder: &Path, seed: &str) -> Result<()> {
    let mut random = Random::new(seed);
    for number in 1..=7 {
        let (name, bytes) = one("documents", number, &mut random);
        let path = folder.join("documents").join(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    for number in 1..=4 {
        let path = folder.join("photos").join(format!("IMG_9{number:03}.png"));
        fs::write(&path, png(&mut random, 120, 90)).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn one(kind: &str, number: u64, random: &mut Random) -> (String, Vec<u8>) {
    match kind {
        "contacts" => contact(number, random),
        "calendars" => calendar(number, random),
        "photos" => (format!("IMG_{number:04}.png"), png(random, 96, 72)),
        "documents" => document(number, random),
        _ => app_data(number, random),
    }
}

fn contact(number: u64, random: &mut Random) -> (String, Vec<u8>) {
    let (first, last) = (random.pick(&FIRST), random.pick(&LAST));
    let card = format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{last};{first};;;\r\nFN:{first} {last}\r\n\
         TEL;TYPE=CELL:+352 621 {:06}\r\nEMAIL:contact{number}@example.org\r\nEND:VCARD\r\n",
        random.below(1_000_000)
    );
    (format!("{number:03} {first} {last}.vcf"), card.into_bytes())
}

fn calendar(number: u64, random: &mut Random) -> (String, Vec<u8>) {
    let matter = random.pick(&MATTERS);
    let (month, day, hour) = (1 + random.below(12), 1 + random.below(28), 7 + random.below(11));
    let event = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Holdfast//Demo//EN\r\nBEGIN:VEVENT\r\n\
         UID:event-{number}@example.org\r\nDTSTAMP:20260101T000000Z\r\n\
         DTSTART:2026{month:02}{day:02}T{hour:02}0000Z\r\nDURATION:PT1H\r\nSUMMARY:{matter}\r\n\
         LOCATION:{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        random.pick(&PLACES)
    );
    (format!("{number:03} {matter}.ics"), event.into_bytes())
}

fn document(number: u64, random: &mut Random) -> (String, Vec<u8>) {
    let title = random.pick(&MATTERS);
    let lines: Vec<String> = (0..30 + random.below(60)).map(|_| sentence(random)).collect();
    match number % 3 {
        0 => (format!("{number:03} {title}.pdf"), pdf(&lines)),
        1 => (format!("{number:03} {title}.txt"), (lines.join("\n") + "\n").into_bytes()),
        _ => {
            let rows: String = (1..=lines.len())
                .map(|row| format!("{row},{},{}\n", random.below(999), random.pick(&PLACES)))
                .collect();
            (format!("{number:03} {title}.csv"), format!("number,amount,place\n{rows}").into_bytes())
        }
    }
}

fn app_data(number: u64, random: &mut Random) -> (String, Vec<u8>) {
    if number.is_multiple_of(5) {
        let bytes = (0..512 + random.below(4096)).flat_map(|_| random.draw().to_le_bytes()).collect();
        return (format!("cache-{number:03}.bin"), bytes);
    }
    let value = serde_json::json!({
        "account": format!("user{number}@example.org"),
        "theme": if random.below(2) == 0 { "dark" } else { "light" },
        "read": (0..20 + random.below(60)).map(|_| random.below(100_000)).collect::<Vec<_>>(),
        "note": sentence(random),
    });
    (format!("state-{number:03}.json"), value.to_string().into_bytes())
}

fn sentence(random: &mut Random) -> String {
    let words: Vec<_> = (0..6 + random.below(8)).map(|_| random.pick(&WORDS)).collect();
    words.join(" ") + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_few_hundred_files_and_the_same_ones_each_time() {
        let [one, two] = [0, 1].map(|_| tempfile::tempdir().unwrap());

        let count = fill(one.path(), "seed").unwrap();
        fill(two.path(), "seed").unwrap();

        assert!(count >= 300, "{count}");
        for (kind, expected) in KINDS {
            let names = |folder: &Path| {
                let mut names: Vec<_> =
                    fs::read_dir(folder.join(kind)).unwrap().map(|it| it.unwrap().file_name()).collect();
                names.sort();
                names
            };
            assert_eq!(names(one.path()).len() as u64, expected, "{kind}");
            assert_eq!(names(one.path()), names(two.path()));
        }
    }
}
