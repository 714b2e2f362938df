//! Small valid pictures and documents, made byte by byte.
use super::random::Random;

/// A PNG of a landscape: sky, sun, hills.
pub fn png(random: &mut Random, width: u32, height: u32) -> Vec<u8> {
    let pixels = landscape(random, width, height);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // 8 bits a channel, RGB, no interlace.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &zlib_stored(&pixels));
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// Rows of RGB, each after a filter byte.
fn landscape(random: &mut Random, width: u32, height: u32) -> Vec<u8> {
    let sky = [byte(60 + random.below(120)), byte(120 + random.below(80)), byte(180 + random.below(70))];
    let hill = [byte(30 + random.below(60)), byte(80 + random.below(100)), byte(30 + random.below(60))];
    let (sun_x, sun_y) = (random.below(u64::from(width)), random.below(u64::from(height / 2).max(1)));
    let wave = 8 + random.below(24);
    let mut rows = Vec::new();
    for y in 0..u64::from(height) {
        rows.push(0);
        for x in 0..u64::from(width) {
            let slope = (x % (wave * 2)).abs_diff(wave);
            let near_sun = x.abs_diff(sun_x).pow(2) + y.abs_diff(sun_y).pow(2) < 40;
            let colour = if near_sun {
                [250, 220, 120]
            } else if y > u64::from(height) / 2 + slope / 2 {
                hill
            } else {
                sky
            };
            let grain = byte(random.below(12));
            rows.extend(colour.map(|it| it.saturating_sub(grain)));
        }
    }
    rows
}

fn byte(value: u64) -> u8 {
    u8::try_from(value.min(255)).unwrap_or(u8::MAX)
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let mut checked = kind.to_vec();
    checked.extend_from_slice(data);
    out.extend_from_slice(&checked);
    out.extend(crc32(&checked).to_be_bytes());
}

/// A zlib stream of blocks that are not compressed.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend(((b << 16) | a).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// A PDF of one page with a few lines of text.
pub fn pdf(lines: &[String]) -> Vec<u8> {
    let mut text = String::from("BT /F1 11 Tf 56 780 Td 14 TL\n");
    for line in lines {
        let plain: String = line.chars().filter(|it| it.is_ascii() && !"()\\".contains(*it)).collect();
        text.push_str(&format!("({plain}) Tj T*\n"));
    }
    text.push_str("ET\n");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}endstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for place in places {
        out.push_str(&format!("{place:010} 00000 n \n"));
    }
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        // RFC 1950: header, one final stored block, Adler-32 of "Wikipedia".
        assert_eq!(zlib_stored(b"Wikipedia")[16..], [0x11, 0xe6, 0x03, 0x98]);
    }

    #[test]
    fn a_picture_has_a_header_and_an_end() {
        let png = png(&mut Random::new("x"), 40, 30);
        assert!(png.starts_with(b"\x89PNG"));
        assert!(png.ends_with(&crc32(b"IEND").to_be_bytes()));
    }
}
