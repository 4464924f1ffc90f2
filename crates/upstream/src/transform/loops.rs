//! Noticing that a request runs in a circle: `CDN-Loop` (RFC 8586).

use http::{HeaderMap, HeaderName, HeaderValue};

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// How this program names itself there.
const ID: &str = "narthex";

/// Passes through gateways of this kind that are still served.
const MOST: u32 = 5;

/// The request has passed through gateways like this one too often: one of them forwards to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request has passed a gateway {MOST} times already; an ingress rule leads back to a gateway"
)]
pub struct Loop;

/// Counts this pass in `CDN-Loop` and leaves what others wrote there.
///
/// # Errors
/// [`Loop`] at the sixth pass (checklist I9).
pub(super) fn count_pass(headers: &mut HeaderMap) -> Result<(), Loop> {
    if !headers.contains_key(CDN_LOOP) {
        headers.insert(CDN_LOOP, HeaderValue::from_static("narthex; loops=1"));
        return Ok(());
    }
    let mut passes = 0u32;
    let mut others = String::new();
    for entry in
        headers.get_all(CDN_LOOP).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','))
    {
        let mut parts = entry.split(';').map(str::trim);
        if parts.next().is_some_and(|id| id.eq_ignore_ascii_case(ID)) {
            let loops = parts.find_map(|p| p.strip_prefix("loops=")).and_then(|n| n.parse().ok());
            passes = passes.saturating_add(loops.unwrap_or(1));
        } else if !entry.trim().is_empty() {
            others.push_str(entry.trim());
            others.push_str(", ");
        }
    }
    if passes >= MOST {
        return Err(Loop);
    }
    let value = HeaderValue::from_str(&format!("{others}{ID}; loops={}", passes + 1));
    headers.insert(CDN_LOOP, value.unwrap_or(HeaderValue::from_static("narthex; loops=1")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_passes_and_no_more() {
        for (sent, want) in [
            (&[][..], Ok("narthex; loops=1")),
            (&["cloudflare; loops=1"], Ok("cloudflare; loops=1, narthex; loops=1")),
            (&["narthex; loops=1"], Ok("narthex; loops=2")),
            (&["narthex; loops=2", "fastly"], Ok("fastly, narthex; loops=3")),
            (&["narthex", "Narthex;loops=3"], Ok("narthex; loops=5")),
            (&["narthex; loops=4"], Ok("narthex; loops=5")),
            (&["narthex; loops=5"], Err(Loop)),
            (&["narthex, narthex, narthex, narthex, narthex"], Err(Loop)),
            (&["narthex; loops=4294967295, narthex"], Err(Loop)),
            (&["narthexes; loops=9"], Ok("narthexes; loops=9, narthex; loops=1")),
            (&["narthex; loops=many"], Ok("narthex; loops=2")),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(CDN_LOOP, HeaderValue::from_static(value));
            }
            let got =
                count_pass(&mut headers).map(|()| headers[CDN_LOOP].to_str().unwrap().to_owned());
            assert_eq!(got, want.map(str::to_owned), "{sent:?}");
        }
    }
}
