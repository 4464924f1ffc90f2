//! Damage to DER (X.690) that leaves its lengths right: every element around the damage is written anew.

use super::Random;

/// Elements within elements are opened this deep; deeper ones are octets.
const DEEPEST: usize = 24;

enum Node {
    /// A constructed element and what it holds.
    Holds(u8, Vec<Node>),
    /// Any other one.
    Octets(u8, Vec<u8>),
}

/// The structure with one element changed; `None` when it is not one DER element from end to end.
pub(super) fn damage(random: &mut Random, der: &[u8]) -> Option<Vec<u8>> {
    let [tag @ (0x30 | 0x31), ..] = der else { return None };
    let mut root = Node::Holds(*tag, read_all(body_of_only(der)?, 1)?);
    let places = root.count();
    let donor = root.nth(random.below(places))?.write();
    let mut at = 1 + random.below(places.saturating_sub(1));
    change(random, &mut root, &mut at, &donor);
    Some(root.write())
}

/// Tag, content and rest of the first element.
fn take(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let more = usize::from(first & 0x7f);
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(more)?;
            (octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
        0x80 | 0x84.. => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn body_of_only(der: &[u8]) -> Option<&[u8]> {
    let (_, content, rest) = take(der)?;
    rest.is_empty().then_some(content)
}

fn read_all(mut der: &[u8], depth: usize) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while !der.is_empty() {
        let (tag, content, rest) = take(der)?;
        nodes.push(match read_all(content, depth + 1) {
            Some(within) if tag & 0x20 != 0 && depth < DEEPEST => Node::Holds(tag, within),
            Some(_) | None => Node::Octets(tag, content.to_vec()),
        });
        der = rest;
    }
    Some(nodes)
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Self::Holds(_, nodes) => 1 + nodes.iter().map(Self::count).sum::<usize>(),
            Self::Octets(..) => 1,
        }
    }

    fn nth(&self, mut at: usize) -> Option<&Self> {
        if at == 0 {
            return Some(self);
        }
        let Self::Holds(_, nodes) = self else { return None };
        at -= 1;
        for node in nodes {
            let count = node.count();
            if at < count {
                return node.nth(at);
            }
            at -= count;
        }
        None
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Holds(tag, nodes) => {
                tlv(*tag, &nodes.iter().flat_map(Self::write).collect::<Vec<_>>())
            }
            Self::Octets(tag, octets) => tlv(*tag, octets),
        }
    }
}

/// One DER element.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short = &length[length.iter().position(|octet| *octet != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(short.len()).unwrap());
    }
    out.extend_from_slice(short);
    out.extend_from_slice(content);
    out
}

/// Changes the element at place `at`, counted from the outermost.
fn change(random: &mut Random, node: &mut Node, at: &mut usize, donor: &[u8]) {
    let Node::Holds(_, nodes) = node else { return };
    let mut place = 0;
    while place < nodes.len() {
        if *at == 1 {
            *at = 0;
            alter(random, nodes, place, donor);
            return;
        }
        *at -= 1;
        change(random, &mut nodes[place], at, donor);
        if *at == 0 {
            return;
        }
        place += 1;
    }
}

fn alter(random: &mut Random, nodes: &mut Vec<Node>, place: usize, donor: &[u8]) {
    let raw = nodes[place].write();
    let Some((tag, content, _)) = take(&raw) else { return };
    let mut content = content.to_vec();
    let at = random.below(content.len());
    match random.below(9) {
        0 => drop(nodes.remove(place)),
        1 => nodes.insert(place, Node::Octets(tag, content)),
        2 => nodes[place] = Node::Octets(tag ^ 1 << random.below(6), content),
        3 => {
            nodes[place] = take(donor).map_or(Node::Octets(5, Vec::new()), |(tag, content, _)| {
                Node::Octets(tag, content.to_vec())
            })
        }
        4 => nodes[place] = Node::Octets(tag, Vec::new()),
        5 => {
            content.extend(std::iter::repeat_n(*random.pick(b"\0a\x80\xff"), random.below(300)));
            nodes[place] = Node::Octets(tag, content);
        }
        6 if nodes.len() > 1 => nodes.swap(place, (place + 1) % 2),
        6 | 7 if !content.is_empty() => {
            content[at] = *random.pick(b"\0\x01\x2a\x7f\x80\xff/,+=");
            nodes[place] = Node::Octets(tag, content);
        }
        _ if !content.is_empty() => {
            content[at] ^= 1 << random.below(8);
            nodes[place] = Node::Octets(tag, content);
        }
        _ => nodes[place] = Node::Octets(tag, vec![0]),
    }
}
