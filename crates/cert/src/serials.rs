//! Many serial numbers in little memory: one buffer and a sorted index into it.

use crate::Serial;

/// A set of serial numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SerialSet {
    octets: Vec<u8>,
    /// Start and length of each number, sorted by its octets.
    index: Vec<(u32, u8)>,
}

/// The longest serial number that is kept; RFC 5280 allows 20 octets.
pub(crate) const MAX_SERIAL: usize = 64;

impl SerialSet {
    /// The set of these numbers; those longer than [`MAX_SERIAL`] must have been refused before.
    pub(crate) fn of<'a>(serials: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut set = Self::default();
        for serial in serials {
            let start = u32::try_from(set.octets.len());
            let length = u8::try_from(serial.len());
            if let (Ok(start), Ok(length)) = (start, length) {
                set.octets.extend_from_slice(serial);
                set.index.push((start, length));
            }
        }
        let octets = &set.octets;
        set.index.sort_unstable_by(|a, b| at(octets, *a).cmp(at(octets, *b)));
        set.index.dedup_by(|a, b| at(octets, *a) == at(octets, *b));
        set
    }

    pub(crate) fn contains(&self, serial: &Serial) -> bool {
        self.holds(serial.octets())
    }

    pub(crate) fn holds(&self, serial: &[u8]) -> bool {
        self.index.binary_search_by(|place| at(&self.octets, *place).cmp(serial)).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.index.iter().map(|place| at(&self.octets, *place))
    }
}

fn at(octets: &[u8], (start, length): (u32, u8)) -> &[u8] {
    let start = start as usize;
    &octets[start..start + usize::from(length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_exactly_what_was_put_in() {
        let set = SerialSet::of([&[9][..], &[1, 2, 3], &[9], &[], &[0, 0x80]].into_iter());
        assert_eq!(set.len(), 4, "one of them stood twice");
        for (octets, want) in [
            (&[9][..], true),
            (&[1, 2, 3], true),
            (&[0, 0x80], true),
            (&[1, 2], false),
            (&[8], false),
        ] {
            assert_eq!(set.contains(&Serial::new(octets)), want, "{octets:?}");
        }
    }
}
