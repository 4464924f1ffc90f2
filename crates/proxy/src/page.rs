//! The page that people see when they are refused. No script, no outside resource, nothing of the request echoed.

use crate::refuse::Notice;
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::sync::LazyLock;

const STYLE: &str = include_str!("../templates/refusal.css");

/// `Content-Security-Policy` of the page: its own style, known by its hash, and nothing else.
pub(crate) static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(digest)
    );
    HeaderValue::try_from(policy).expect("visible ASCII")
});

/// A refusal as a page.
pub(crate) struct Page<'a> {
    pub(crate) notice: &'a Notice,
    /// The team's name.
    pub(crate) team: &'a str,
    pub(crate) ray: &'a str,
    /// What programs look for in the page: JSON in a hidden field called `json_data` (access-protocol §2.7).
    pub(crate) data: Option<String>,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Form<'a> {
    style: &'static str,
    notice: &'a Notice,
    team: &'a str,
    ray: &'a str,
    data: &'a Option<String>,
}

impl Page<'_> {
    pub(crate) fn text(&self) -> String {
        let Self { notice, team, ray, data } = self;
        let form = Form { style: STYLE, notice, team, ray, data };
        form.render().unwrap_or_else(|_| format!("{} {}", notice.status, notice.title))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn text(message: &str, data: Option<String>) -> String {
        let notice = Notice {
            status: StatusCode::FORBIDDEN,
            title: "Access denied",
            message: message.to_owned(),
            remedy: "Ask.",
            person: Some("a@b.test".to_owned()),
        };
        Page { notice: &notice, team: "acme", ray: "0123456789abcdef", data }.text()
    }

    #[test]
    fn i11_l2_what_others_wrote_is_escaped() {
        let page = text("<script>alert('1')</script>", Some(r#"{"message":"<\"'>"}"#.to_owned()));
        assert!(!page.contains("<script") && !page.contains(r#"<\""#), "{page}");
        assert!(page.contains("0123456789abcdef") && page.contains("a@b.test"));
        assert!(page.contains(r#"id="json_data" name="json_data""#));
    }

    #[test]
    fn the_policy_names_the_style_as_the_page_holds_it() {
        let page = text("m", None);
        let from = page.find("<style>").unwrap() + "<style>".len();
        let style = &page[from..page.find("</style>").unwrap()];
        assert_eq!(style, STYLE);
        assert!(!page.contains("json_data"));
    }
}
