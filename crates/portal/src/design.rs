//! How the pages look: the organisation's logo, colours and texts, taken over only where they are safe to write
//! and people can read the result.

use narthex_model::LoginDesign;
use narthex_snapshot::Snapshot;
use url::Url;

/// The stylesheet of every page.
const STYLE: &str = include_str!("../templates/style.css");

/// What every page has around its card.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The organisation's name.
    pub(crate) organization: String,
    /// The whole stylesheet; its hash is in the page's Content-Security-Policy.
    pub(crate) style: String,
    /// An `https` image.
    pub(crate) logo: Option<Url>,
    /// Text above the card.
    pub(crate) header_text: Option<String>,
    /// Text below the card.
    pub(crate) footer_text: Option<String>,
}

impl Frame {
    /// The frame of the organisation in force.
    pub(crate) fn of_team(snapshot: &Snapshot) -> Self {
        Self::of(&snapshot.organization.name, &snapshot.organization.login_design)
    }

    pub(crate) fn of(organization: &str, design: &LoginDesign) -> Self {
        let text = |t: &Option<String>| t.clone().filter(|t| !t.trim().is_empty());
        let logo = design.logo_path.as_deref().and_then(|raw| Url::parse(raw).ok());
        Self {
            organization: organization.to_owned(),
            style: format!("{STYLE}{}", colours(design)),
            logo: logo.filter(|url| url.scheme() == "https" && url.has_host()),
            header_text: text(&design.header_text),
            footer_text: text(&design.footer_text),
        }
    }
}

/// The organisation's colours as CSS: its background in light and dark, and on it a text that can be read.
fn colours(design: &LoginDesign) -> String {
    let colour = |raw: &Option<String>| raw.as_deref().and_then(Colour::parse);
    let Some(page) = colour(&design.background_color) else { return String::new() };
    let wanted = colour(&design.text_color).filter(|text| page.contrast(*text) >= 4.5);
    let readable = if page.contrast(Colour::WHITE) >= page.contrast(Colour::BLACK) {
        Colour::WHITE
    } else {
        Colour::BLACK
    };
    let (page, aside) = (page.css(), wanted.unwrap_or(readable).css());
    // On `body`, so that it wins over both `:root` rules of the stylesheet.
    format!("body{{--page:{page};--aside:{aside}}}")
}

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour([u8; 3]);

impl Colour {
    const WHITE: Self = Self([255; 3]);
    const BLACK: Self = Self([0; 3]);

    /// Reads `#rgb` or `#rrggbb` and nothing else.
    fn parse(raw: &str) -> Option<Self> {
        let digits = raw.strip_prefix('#').filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let long = match digits.len() {
            6 => digits.to_owned(),
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            _ => return None,
        };
        let byte = |at: usize| u8::from_str_radix(long.get(at..at + 2)?, 16).ok();
        Some(Self([byte(0)?, byte(2)?, byte(4)?]))
    }

    fn css(self) -> String {
        let [r, g, b] = self.0;
        format!("#{r:02x}{g:02x}{b:02x}")
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |byte: u8| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Contrast ratio (WCAG 2.2), 1 to 21; text needs 4.5.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn design(background: &str, text: &str) -> LoginDesign {
        LoginDesign {
            background_color: Some(background.to_owned()),
            text_color: Some(text.to_owned()),
            ..LoginDesign::default()
        }
    }

    #[test]
    fn only_hexadecimal_colours_reach_the_stylesheet() {
        for (background, text, css) in [
            ("#fff", "#333333", "body{--page:#ffffff;--aside:#333333}"),
            ("#0A0B0C", "#ddd", "body{--page:#0a0b0c;--aside:#dddddd}"),
            ("#ffffff", "#eeeeee", "body{--page:#ffffff;--aside:#000000}"), // nobody could read it
            ("#123456", "red", "body{--page:#123456;--aside:#ffffff}"),
            ("red", "#fff", ""),
            ("#12345", "#fff", ""),
            ("#fff}body{display:none", "#fff", ""),
            ("#fff;background:url(https://evil.example)", "#fff", ""),
            ("#ééé", "#fff", ""),
            ("", "", ""),
        ] {
            assert_eq!(colours(&design(background, text)), css, "{background} {text}");
        }
    }

    #[test]
    fn a_logo_is_an_https_image() {
        for (logo, kept) in [
            ("https://cdn.example.com/logo.svg", true),
            ("http://cdn.example.com/logo.svg", false),
            ("javascript:alert(1)", false),
            ("data:image/svg+xml,<svg/>", false),
            ("/logo.svg", false),
        ] {
            let design = LoginDesign { logo_path: Some(logo.to_owned()), ..LoginDesign::default() };
            assert_eq!(Frame::of("acme", &design).logo.is_some(), kept, "{logo}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_recommendation() {
        let ratio = |a: &str, b: &str| {
            let (a, b) = (Colour::parse(a).unwrap(), Colour::parse(b).unwrap());
            (a.contrast(b) * 100.0).round() / 100.0
        };
        assert_eq!(ratio("#000", "#fff"), 21.0);
        assert_eq!(ratio("#777777", "#ffffff"), 4.48);
    }

    #[test]
    fn our_own_colours_can_be_read() {
        for (text, page) in [
            ("#1b1f24", "#ffffff"), // ink on card
            ("#57606a", "#ffffff"), // soft on card
            ("#57606a", "#f4f5f7"), // aside on page
            ("#ffffff", "#0b57d0"), // the button
            ("#b3261e", "#fdecea"), // a problem
            ("#e6e9ed", "#1a2027"), // the same in the dark
            ("#a3acb6", "#1a2027"),
            ("#a3acb6", "#101418"),
            ("#0a2349", "#a8c7fa"),
            ("#ffb4ab", "#3a1d1b"),
            ("#a8c7fa", "#1a2027"),
        ] {
            let (a, b) = (Colour::parse(text).unwrap(), Colour::parse(page).unwrap());
            assert!(a.contrast(b) >= 4.5, "{text} on {page}: {}", a.contrast(b));
            assert!(STYLE.contains(text) || text == "#ffffff", "{text} is still in use");
        }
    }
}
