//! The file that says who owns which row.

use super::owners::NOBODY;

/// Sites whose positions fit a byte.
const BYTE_SITES_MAX: usize = 256;
const U8: u8 = 0x08;
const F32: u8 = 0x0d;

/// The position of its site for each of `count` rows, [`NOBODY`] for none.
#[must_use]
pub fn owners_of(sites: &[Vec<u32>], count: usize) -> Vec<u32> {
    let mut owners = vec![NOBODY; count];
    for (site, rows) in (0_u32..).zip(sites) {
        for row in rows {
            if let Some(owner) = owners.get_mut(*row as usize) {
                *owner = site;
            }
        }
    }
    owners
}

/// `owners` as an IDX file, which the partition `file` reads: bytes where they are enough, otherwise f32, with -1 for
/// nobody.
#[must_use]
pub fn assignment_file(owners: &[u32]) -> Vec<u8> {
    let bytes_do = owners.iter().all(|owner| (*owner as usize) < BYTE_SITES_MAX);
    let mut file = vec![0, 0, if bytes_do { U8 } else { F32 }, 1];
    // A simulation numbers rows with 32 bits.
    file.extend((owners.len() as u32).to_be_bytes());
    if bytes_do {
        file.extend(owners.iter().map(|owner| *owner as u8));
    } else {
        let number = |owner: &u32| if *owner == NOBODY { -1.0 } else { *owner as f32 };
        file.extend(owners.iter().flat_map(|owner| number(owner).to_be_bytes()));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_where_they_are_enough_and_numbers_otherwise() {
        let owners = owners_of(&[vec![1], vec![0, 2]], 3);
        assert_eq!(assignment_file(&owners), [0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 1]);
        let with_rest = owners_of(&[vec![1]], 2);
        assert_eq!(with_rest, [NOBODY, 0]);
        assert_eq!(assignment_file(&with_rest), [0, 0, 13, 1, 0, 0, 0, 2, 0xbf, 0x80, 0, 0, 0, 0, 0, 0]);
        assert_eq!(assignment_file(&[300])[8..], 300_f32.to_be_bytes());
    }
}
