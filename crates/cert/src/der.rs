//! Steps over DER, one element at a time, without copying. The structures themselves are read by `x509-parser`;
//! this is for the raw bytes that it does not hand out: what was signed, and the parts of a name.

/// One element: its tag octet, its content, and both with the length between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Takes the next element off `input`. `None` when it is cut short, its length is indefinite or not the shortest
/// form, or its tag needs more than one octet (nothing in X.509 does).
pub(crate) fn take<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let start = *input;
    let (&tag, rest) = start.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let octets = usize::from(first & 0x7f);
        if octets == 0 || octets > 4 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(octets)?;
        length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if length < 0x80 || bytes[0] == 0 {
            return None;
        }
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *input = after;
    Some(Element { tag, content, whole: &start[..start.len() - after.len()] })
}

/// Takes the next element if it carries `tag`, and leaves the input alone otherwise.
pub(crate) fn take_tagged<'a>(input: &mut &'a [u8], tag: u8) -> Option<Element<'a>> {
    let mut ahead = *input;
    let element = take(&mut ahead).filter(|element| element.tag == tag)?;
    *input = ahead;
    Some(element)
}

/// The one element that `input` is, with nothing behind it.
pub(crate) fn only(input: &[u8], tag: u8) -> Option<Element<'_>> {
    let mut rest = input;
    let element = take_tagged(&mut rest, tag)?;
    rest.is_empty().then_some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_definite_and_shortest() {
        let long = [&[4, 0x81, 0x80][..], &[7; 0x80]].concat();
        let table: [(&str, &[u8], Option<usize>); 10] = [
            ("empty content", &[5, 0], Some(0)),
            ("short form", &[4, 2, 1, 2], Some(2)),
            ("something behind", &[4, 1, 1, 9], Some(1)),
            ("long form", &long, Some(0x80)),
            ("nothing", &[], None),
            ("no length", &[4], None),
            ("cut short", &[4, 2, 1], None),
            ("indefinite", &[0x24, 0x80, 0, 0], None),
            ("not the shortest", &[4, 0x81, 1, 1], None),
            ("a tag of several octets", &[0x1f, 0x81, 1, 0], None),
        ];
        for (name, bytes, want) in table {
            assert_eq!(take(&mut &bytes[..]).map(|e| e.content.len()), want, "{name}");
        }
        assert!(only(&[4, 1, 1, 9], 4).is_none(), "a byte behind the only element");
        assert!(only(&[4, 1, 1], 5).is_none(), "another tag");
        assert_eq!(only(&[4, 1, 1], 4).map(|e| e.whole.len()), Some(3));
    }
}
