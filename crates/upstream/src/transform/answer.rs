//! The origin's answer on its way to the client: what an origin may not say in the gateway's name.

use super::{cookies, names};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use narthex_model::RayId;

const CF_RAY: HeaderName = HeaderName::from_static("cf-ray");

/// Cleans the fields of an origin's answer, writes `cf-ray`, and returns how many fields were removed because
/// they spoke in the gateway's name (checklist I6, I7).
///
/// `Alt-Svc` goes as well: it would send browsers past the gateway.
pub(crate) fn clean_answer(headers: &mut HeaderMap, ray: &RayId) -> u32 {
    names::remove_hop_by_hop(headers);
    headers.remove(header::ALT_SVC);
    let mut removed = remove_values(headers, &header::SET_COOKIE, cookies::sets_ours);
    removed += remove_values(headers, &header::WWW_AUTHENTICATE, is_our_challenge);
    removed += remove_control(headers);
    if let Ok(ray) = HeaderValue::from_str(ray.as_str()) {
        headers.insert(CF_RAY, ray);
    }
    removed
}

/// Cleans trailer fields: what may not stand in a head may not stand behind the body either.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) -> u32 {
    names::remove_hop_by_hop(trailers);
    for name in [header::SET_COOKIE, header::CONTENT_LENGTH, header::HOST, header::WWW_AUTHENTICATE]
    {
        trailers.remove(name);
    }
    remove_control(trailers)
}

/// Removes `cf-access-*` in every spelling.
fn remove_control(headers: &mut HeaderMap) -> u32 {
    let before = headers.len();
    names::remove_where(headers, names::is_control);
    u32::try_from(before - headers.len()).unwrap_or(u32::MAX)
}

/// A challenge of ours would lead a client to somebody else's team domain.
fn is_our_challenge(value: &[u8]) -> bool {
    let ours = b"cloudflare-access";
    value.windows(ours.len()).any(|window| window.eq_ignore_ascii_case(ours))
}

fn remove_values(headers: &mut HeaderMap, name: &HeaderName, bad: impl Fn(&[u8]) -> bool) -> u32 {
    if !headers.get_all(name).iter().any(|value| bad(value.as_bytes())) {
        return 0;
    }
    let all: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    let mut removed = 0;
    for value in all {
        if bad(value.as_bytes()) {
            removed += 1;
        } else {
            headers.append(name, value);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_does_not_speak_in_our_name() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/html"),
            ("set-cookie", "session=1; Path=/"),
            ("set-cookie", "CF_Authorization=forged; Path=/"),
            ("set-cookie", "lang=en"),
            ("set-cookie", "__Host-CF_Session=forged"),
            ("cf-access-domain", "evil.example"),
            ("cf_access_aud", "0"),
            ("cf-ray", "0000000000000000"),
            ("www-authenticate", "Basic realm=\"app\""),
            ("www-authenticate", "Cloudflare-Access resource_metadata=\"https://evil.example\""),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("alt-svc", "h3=\":443\""),
            ("cf-cache-status", "HIT"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let ray: RayId = "0123456789abcdef".to_owned().try_into().unwrap();
        assert_eq!(clean_answer(&mut headers, &ray), 5);
        let mut left: Vec<String> =
            headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(
            left,
            [
                "cf-cache-status: HIT",
                "cf-ray: 0123456789abcdef",
                "content-type: text/html",
                "set-cookie: lang=en",
                "set-cookie: session=1; Path=/",
                "www-authenticate: Basic realm=\"app\"",
            ]
        );
    }

    #[test]
    fn trailers_keep_what_grpc_says() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [
            ("grpc-status", "0"),
            ("grpc-message", "fine"),
            ("cf-access-aud", "x"),
            ("set-cookie", "CF_Authorization=x"),
            ("content-length", "7"),
        ] {
            trailers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(clean_trailers(&mut trailers), 1);
        let left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["grpc-status", "grpc-message"]);
    }
}
