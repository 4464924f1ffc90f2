//! From the form field to one parsed tree: sizes first, then one parse, then what no SAML message has.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uppsala::dom::{Document, NodeId, NodeKind};
use uppsala::parser::Parser;

use crate::Refusal;
use crate::names::Name;

/// Bytes of a response, as it arrives and as it is read.
pub const MAX_BYTES: usize = 1 << 20;
/// How deeply elements may nest.
pub const MAX_DEPTH: u32 = 64;
/// Attributes and namespace declarations in one tag.
pub const MAX_ATTRIBUTES: usize = 64;
/// Elements in a document; five thousand groups fit well.
pub const MAX_ELEMENTS: usize = 16_384;

/// The document behind a `SAMLResponse` field: base64, in which line breaks are allowed. A byte order mark, which some
/// providers write, is no part of it.
pub(crate) fn decode(field: &str) -> Result<String, Refusal> {
    if field.len() > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    let compact: Cow<'_, str> = if field.bytes().any(|b| b.is_ascii_whitespace()) {
        field.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().into()
    } else {
        field.into()
    };
    let mut bytes = STANDARD.decode(compact.as_bytes()).map_err(|_| Refusal::NotBase64)?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|_| Refusal::NotXml)
}

/// A document parsed once: verified, and read afterwards, as this very tree.
pub(crate) struct Tree<'s> {
    document: Document<'s>,
    source: &'s str,
    root: NodeId,
    /// Every element, in document order.
    elements: Vec<NodeId>,
}

impl<'s> Tree<'s> {
    /// Parses, and refuses what no SAML message has: a document type, comments, processing instructions, relative
    /// namespaces, more than the limits.
    pub(crate) fn parse(source: &'s str) -> Result<Self, Refusal> {
        bound(source)?;
        let document = Parser::new()
            .with_forbid_dtd(true)
            .with_forbid_entities(true)
            .with_max_depth(MAX_DEPTH)
            .parse(source)
            .map_err(|_| Refusal::NotXml)?;
        let root = document.document_element().ok_or(Refusal::NotXml)?;
        let mut elements = Vec::new();
        for node in document.descendants(document.root()) {
            match document.node_kind(node) {
                Some(NodeKind::Element(element)) => {
                    if element.attributes.len() + element.namespace_declarations.len()
                        > MAX_ATTRIBUTES
                        || elements.len() == MAX_ELEMENTS
                    {
                        return Err(Refusal::TooMany);
                    }
                    if !element.namespace_declarations.iter().all(|(_, uri)| is_absolute(uri)) {
                        return Err(Refusal::RelativeNamespace);
                    }
                    elements.push(node);
                }
                Some(NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_)) => {
                    return Err(Refusal::Markup);
                }
                Some(
                    NodeKind::Document
                    | NodeKind::Text(_)
                    | NodeKind::CData(_)
                    | NodeKind::Attribute(..),
                )
                | None => {}
            }
        }
        Ok(Self { document, source, root, elements })
    }

    pub(crate) fn document(&self) -> &Document<'s> {
        &self.document
    }

    /// The text this tree was parsed from.
    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    pub(crate) fn root(&self) -> NodeId {
        self.root
    }

    /// Every element, in document order.
    pub(crate) fn elements(&self) -> &[NodeId] {
        &self.elements
    }

    pub(crate) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.document.parent(node)
    }

    pub(crate) fn is(&self, node: NodeId, name: Name) -> bool {
        self.document
            .element(node)
            .is_some_and(|element| element.name.matches(Some(name.namespace), name.local))
    }

    pub(crate) fn local_name(&self, node: NodeId) -> &str {
        self.document.element(node).map_or("", |element| &element.name.local_name)
    }

    pub(crate) fn namespace(&self, node: NodeId) -> &str {
        self.document
            .element(node)
            .and_then(|element| element.name.namespace_uri.as_deref())
            .unwrap_or_default()
    }

    /// The elements directly below `node`.
    pub(crate) fn children(&self, node: NodeId) -> Vec<NodeId> {
        self.document
            .children_iter(node)
            .filter(|child| self.document.element(*child).is_some())
            .collect()
    }

    /// The elements of this name directly below `node`.
    pub(crate) fn named(&self, node: NodeId, name: Name) -> Vec<NodeId> {
        self.document.children_iter(node).filter(|child| self.is(*child, name)).collect()
    }

    /// The element of this name directly below `node`, of which there may be one or none.
    pub(crate) fn at_most_one(&self, node: NodeId, name: Name) -> Result<Option<NodeId>, Refusal> {
        match *self.named(node, name) {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            [_, _, ..] => Err(Refusal::Structure),
        }
    }

    /// The value of an attribute that stands in no namespace.
    pub(crate) fn attribute(&self, node: NodeId, name: &str) -> Option<&str> {
        self.document
            .element(node)?
            .attributes
            .iter()
            .find(|held| held.name.namespace_uri.is_none() && held.name.local_name == name)
            .map(|held| &*held.value)
    }

    /// All text in `node`, whole, without the white space around it.
    pub(crate) fn text(&self, node: NodeId) -> String {
        self.document.text_content_deep(node).trim_matches([' ', '\t', '\r', '\n']).to_owned()
    }

    /// Whether all that `node` holds is one piece of text, so that no reader can take another piece for the whole.
    pub(crate) fn is_one_text(&self, node: NodeId) -> bool {
        let mut below = self.document.children_iter(node);
        let first = below.next().and_then(|child| self.document.node_kind(child));
        matches!(first, Some(NodeKind::Text(_))) && below.next().is_none()
    }
}

/// Whether a namespace is empty (undeclared) or has a scheme.
fn is_absolute(uri: &str) -> bool {
    uri.is_empty()
        || uri.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        })
}

/// Refuses, before anything is built of it, what would cost the parser too much: its check for repeated attributes is
/// quadratic, and a tree takes fifty times the text. Only ever refuses; nothing that it sees is read.
fn bound(source: &str) -> Result<(), Refusal> {
    let bytes = source.as_bytes();
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    let (mut at, mut tags) = (0, 0);
    while let Some(open) = position(bytes, at, b"<") {
        let rest = &bytes[open..];
        at = if rest.starts_with(b"<![CDATA[") {
            position(bytes, open, b"]]>").ok_or(Refusal::NotXml)?
        } else if rest.starts_with(b"<!") {
            return Err(Refusal::Markup);
        } else if rest.starts_with(b"<?") {
            if open != 0 || !rest.starts_with(b"<?xml ") {
                return Err(Refusal::Markup);
            }
            position(bytes, open, b"?>").ok_or(Refusal::NotXml)?
        } else {
            tags += 1;
            if tags > 2 * MAX_ELEMENTS {
                return Err(Refusal::TooMany);
            }
            end_of_tag(bytes, open)?
        };
    }
    Ok(())
}

/// Where the tag that opens at `open` ends; counts its attributes by their equals signs, which a name cannot contain.
fn end_of_tag(bytes: &[u8], open: usize) -> Result<usize, Refusal> {
    let (mut quote, mut attributes) = (None, 0);
    for (offset, &byte) in bytes[open..].iter().enumerate() {
        match (quote, byte) {
            (Some(mark), _) if mark == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Ok(open + offset),
            (None, b'=') => {
                attributes += 1;
                if attributes > MAX_ATTRIBUTES {
                    return Err(Refusal::TooMany);
                }
            }
            (None, _) => {}
        }
    }
    Err(Refusal::NotXml)
}

fn position(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes[from..].windows(wanted.len()).position(|part| part == wanted).map(|found| from + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(source: &str) -> Result<(), Refusal> {
        Tree::parse(source).map(drop)
    }

    #[test]
    fn a_tree_is_made_of_elements_and_text_only() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        let attributes = |count: usize| {
            let all: String = (0..count).map(|n| format!(" a{n}=\"1\"")).collect();
            format!("<a{all}/>")
        };
        let many = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        for (name, source, want) in [
            ("text", "<a>b</a>".to_owned(), Ok(())),
            ("declared", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a/>".into(), Ok(())),
            ("character data", "<a><![CDATA[<!-- no comment, 'no' end > -->]]></a>".into(), Ok(())),
            ("an arrow in a value", "<a b='>' c=\"<!-- -->\"/>".into(), Err(Refusal::NotXml)),
            ("a comment", "<a>b<!-- c --></a>".into(), Err(Refusal::Markup)),
            ("a comment before", "<!-- c --><a/>".into(), Err(Refusal::Markup)),
            ("an instruction", "<a><?php?></a>".into(), Err(Refusal::Markup)),
            ("a late declaration", " <?xml version=\"1.0\"?><a/>".into(), Err(Refusal::Markup)),
            ("a document type", "<!DOCTYPE a><a/>".into(), Err(Refusal::Markup)),
            ("an unknown entity", "<a>&b;</a>".into(), Err(Refusal::NotXml)),
            ("64 deep", nested(64), Ok(())),
            ("65 deep", nested(65), Err(Refusal::NotXml)),
            ("64 attributes", attributes(64), Ok(())),
            ("65 attributes", attributes(65), Err(Refusal::TooMany)),
            ("many elements", many(MAX_ELEMENTS - 1), Ok(())),
            ("too many", many(MAX_ELEMENTS), Err(Refusal::TooMany)),
            ("a relative namespace", "<a xmlns:b=\"b\"/>".into(), Err(Refusal::RelativeNamespace)),
            ("one by path", "<a xmlns=\"../b\"/>".into(), Err(Refusal::RelativeNamespace)),
            ("an absolute one", "<a xmlns:b=\"urn:b\"/>".into(), Ok(())),
            ("two roots", "<a/><b/>".into(), Err(Refusal::NotXml)),
            ("a repeated attribute", "<a b='1' b='2'/>".into(), Err(Refusal::NotXml)),
            ("an unbound prefix", "<b:a/>".into(), Err(Refusal::NotXml)),
            ("no end", "<a b=\"".into(), Err(Refusal::NotXml)),
            ("nothing", String::new(), Err(Refusal::NotXml)),
        ] {
            assert_eq!(verdict(&source), want, "{name}");
        }
    }

    #[test]
    fn the_field_is_base64_of_utf_8_and_not_large() {
        assert_eq!(decode("PGEv\r\n Pg==").as_deref(), Ok("<a/>"));
        assert_eq!(decode("77u/PGEvPg==").as_deref(), Ok("<a/>"));
        for (name, field, want) in [
            ("no base64", "<a/>".to_owned(), Refusal::NotBase64),
            ("url-safe", "PGEvPj_-".into(), Refusal::NotBase64),
            ("cut", "PGEvPg=".into(), Refusal::NotBase64),
            ("latin-1", STANDARD.encode(b"<a>\xe9</a>"), Refusal::NotXml),
            ("large", "A".repeat(MAX_BYTES + 1), Refusal::TooLarge),
            ("ten times as large", "A".repeat(10 * MAX_BYTES), Refusal::TooLarge),
        ] {
            assert_eq!(decode(&field), Err(want), "{name}");
        }
    }

    #[test]
    fn a_reader_is_told_when_text_comes_in_pieces() {
        let source = "<a><b>whole</b><c>in <![CDATA[pieces]]></c><d/></a>";
        let tree = Tree::parse(source).unwrap();
        let [b, c, d] = tree.children(tree.root())[..] else { panic!("three children") };
        assert!(tree.is_one_text(b));
        assert!(!tree.is_one_text(c));
        assert!(!tree.is_one_text(d));
        assert_eq!(tree.text(c), "in pieces");
    }
}
