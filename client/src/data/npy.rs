//! The header of a NumPy array, read without evaluating it: magic, version, length, and a dict of three known keys.
//!
//! NumPy writes it as a Python literal. Only the literals NumPy itself writes for plain arrays are accepted, so that no
//! depth or size of a forged one costs anything.

use std::io::{self, Read};

use super::limits::NPY_HEADER_BYTES_MAX;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `<`, `>` or `|`.
    pub(super) order: u8,
    /// The type without the byte order, like `f4`.
    pub(super) kind: String,
    /// Dimensions.
    pub(super) shape: Vec<u64>,
}

/// Why a header is not read: the reason and what to do.
pub(super) type Refusal = (String, &'static str);

const SAVE_AGAIN: &str = "save the arrays again with numpy.savez";

/// Reads the header; the reader stands at the first value then.
pub(super) fn read_header(reader: &mut dyn Read) -> Result<Header, Refusal> {
    let cut = |e: io::Error| (format!("an array ends inside its header ({e})"), SAVE_AGAIN);
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(cut)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(("an array does not begin with the NumPy mark".to_owned(), SAVE_AGAIN));
    }
    let length = match start[6] {
        1 => {
            let mut bytes = [0; 2];
            reader.read_exact(&mut bytes).map_err(cut)?;
            usize::from(u16::from_le_bytes(bytes))
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).map_err(cut)?;
            u32::from_le_bytes(bytes) as usize
        }
        other => return Err((format!("an array has the format version {other}, 1 to 3 are known"), SAVE_AGAIN)),
    };
    if length > NPY_HEADER_BYTES_MAX {
        return Err((
            format!("an array has a header of {length} bytes, at most {NPY_HEADER_BYTES_MAX} are read"),
            SAVE_AGAIN,
        ));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8_lossy(&text);
    parse(&text)
}

fn parse(text: &str) -> Result<Header, Refusal> {
    let unknown = || ("an array has a header that NumPy does not write for plain arrays".to_owned(), SAVE_AGAIN);
    let mut rest = eat(text, "{").ok_or_else(unknown)?;
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    loop {
        if let Some(after) = eat(rest, "}") {
            if !after.trim().is_empty() {
                return Err(unknown());
            }
            break;
        }
        let (key, after) = quoted(rest).ok_or_else(unknown)?;
        rest = eat(after, ":").ok_or_else(unknown)?;
        match key {
            "descr" => {
                let Some((value, after)) = quoted(rest) else {
                    return Err((
                        "an array has records or fields".to_owned(),
                        "save one plain array for the inputs and one for the labels",
                    ));
                };
                descr = Some(value);
                rest = after;
            }
            "fortran_order" => {
                let (value, after) = match (eat(rest, "True"), eat(rest, "False")) {
                    (Some(after), _) => (true, after),
                    (_, Some(after)) => (false, after),
                    (None, None) => return Err(unknown()),
                };
                fortran = Some(value);
                rest = after;
            }
            "shape" => {
                let (value, after) = dimensions(rest).ok_or_else(unknown)?;
                shape = Some(value);
                rest = after;
            }
            _ => return Err(unknown()),
        }
        rest = eat(rest, ",").unwrap_or(rest);
    }
    let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else { return Err(unknown()) };
    if fortran && shape.len() > 1 {
        let why = "an array has its values in column order (Fortran)".to_owned();
        return Err((why, "save numpy.ascontiguousarray of it"));
    }
    let (order, kind) = match descr.as_bytes() {
        [order @ (b'<' | b'>' | b'|' | b'='), ..] => (*order, &descr[1..]),
        _ => (b'|', descr),
    };
    Ok(Header { order: if order == b'=' { b'<' } else { order }, kind: kind.to_owned(), shape })
}

/// The rest of `text` after spaces and `token`.
fn eat<'t>(text: &'t str, token: &str) -> Option<&'t str> {
    text.trim_start().strip_prefix(token)
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn dimensions(text: &str) -> Option<(Vec<u64>, &str)> {
    /// NumPy's own limit.
    const DIMENSIONS_MAX: usize = 64;
    let (inside, rest) = eat(text, "(")?.split_once(')')?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some((Vec::new(), rest));
    }
    let dims: Vec<u64> =
        inside.split(',').map(|d| d.trim().trim_end_matches('L').parse().ok()).collect::<Option<_>>()?;
    (dims.len() <= DIMENSIONS_MAX).then_some((dims, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_numpy_writes_is_read() {
        let header = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }    \n").unwrap();
        assert_eq!(header, Header { order: b'<', kind: "f4".to_owned(), shape: vec![3, 4] });
        let header = parse("{\"shape\": (7,), \"fortran_order\": True, \"descr\": \"|u1\"}").unwrap();
        assert_eq!(header, Header { order: b'|', kind: "u1".to_owned(), shape: vec![7] });
        assert_eq!(parse("{'descr': '>i8', 'fortran_order': False, 'shape': ()}").unwrap().shape, Vec::<u64>::new());
    }

    #[test]
    fn other_headers_say_why_they_are_refused() {
        let why = |text: &str| parse(text).unwrap_err().0;
        assert!(why("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4)}").contains("column order"));
        assert!(why("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}").contains("records"));
        for text in [
            "",
            "{",
            "{}",
            "[[[[",
            "{'shape': (-1,)}",
            "{'shape': (1",
            "{'descr': 'f4'} x",
            "{'évil': 1}",
            "{'descr': 'é",
        ] {
            assert!(why(text).contains("array has"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}()':, a-zé0-9<>|\"]{0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("{{'descr': '<f4', 'shape': {text}"));
        }
    }
}
