//! Numbers as people read them.

/// Megabytes (10^6 bytes) for tables.
pub(super) fn megabytes(bytes: u64) -> String {
    if bytes == 0 {
        return "–".to_owned();
    }
    let mb = bytes as f64 / 1e6;
    if mb < 0.01 {
        "< 0.01".to_owned()
    } else if mb < 100.0 {
        format!("{mb:.2}")
    } else {
        grouped(mb.round() as u64)
    }
}

/// Bytes with a decimal unit.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1e3, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A time span with units that fit.
pub(super) fn time(ms: u64) -> String {
    let seconds = ms as f64 / 1e3;
    if ms < 1000 {
        format!("{ms} ms")
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else if seconds < 6000.0 {
        format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60)
    } else {
        format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60)
    }
}

/// A whole number with thin spaces between thousands, as the SI brochure has it.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A metric, four digits after the point; three significant digits when it is large or tiny.
pub(super) fn metric(value: f64) -> String {
    if value == 0.0 || (0.0005..1000.0).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.2e}") }
}

/// A metric that may be missing.
pub(super) fn metric_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), metric)
}

/// A length or a loss, three significant digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.2e}")
    } else {
        let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        format!("{value:.digits$}")
    }
}

/// `noun` with its number, and an s where it takes one.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 12, 52_000, 1_234_000, 4_560_000_000].map(bytes),
            ["0 B", "12 B", "52.0 kB", "1.23 MB", "4.56 GB"]
        );
        assert_eq!([999_499, 999_500, 999_999].map(bytes), ["999 kB", "1.00 MB", "1.00 MB"]);
        assert_eq!([0, 4000, 1_230_000, 2_000_000_000].map(megabytes), ["–", "< 0.01", "1.23", "2000"]);
        assert_eq!(
            [7, 1500, 61_000, 130_000, 7_260_000].map(time),
            ["7 ms", "1.5 s", "61.0 s", "2 min 10 s", "2 h 01 min"]
        );
        assert_eq!(
            [12, 1234, 12_345, 1_000_000].map(grouped),
            ["12", "1234", "12\u{202f}345", "1\u{202f}000\u{202f}000"]
        );
        assert_eq!([0.0, 0.000_012, 0.1234, 12.34, 1234.0].map(short), ["0", "1.20e-5", "0.123", "12.3", "1234"]);
        assert_eq!([0.5, 0.0, 1e-9].map(metric), ["0.5000", "0.0000", "1.00e-9"]);
    }
}
