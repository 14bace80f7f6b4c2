//! What a request over HTTP asks, judged before a byte of it is decoded (RFC 8484 §4.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::wire::MAX_MESSAGE;

/// The one resource.
const PATH: &str = "/dns-query";

/// What messages are called.
pub(in crate::server) const MESSAGE: &str = "application/dns-message";

/// The longest value of `dns=`: a message of 65,535 bytes.
const LONGEST: usize = MAX_MESSAGE.div_ceil(3) * 4;

/// What a request asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::server) enum Asks {
    /// This message.
    Message(Vec<u8>),
    /// The message in its body.
    Body,
}

/// Judges the head of a request; for a body its length is still to be watched.
///
/// Errors: what the client is told.
pub(in crate::server) fn judge(head: &Parts) -> Result<Asks, StatusCode> {
    if head.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match head.method {
        Method::GET => {
            let query = head.uri.query().unwrap_or_default();
            let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("dns="));
            let (Some(value), None) = (values.next(), values.next()) else {
                return Err(StatusCode::BAD_REQUEST);
            };
            if value.len() > LONGEST {
                return Err(StatusCode::URI_TOO_LONG);
            }
            URL_SAFE_NO_PAD.decode(value).map(Asks::Message).map_err(|_| StatusCode::BAD_REQUEST)
        }
        Method::POST => {
            let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
            let called = text(CONTENT_TYPE).and_then(|called| called.split(';').next()).unwrap_or_default();
            if !called.trim().eq_ignore_ascii_case(MESSAGE) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            match text(CONTENT_LENGTH).map(str::parse::<u64>) {
                Some(Ok(length)) if usize::try_from(length).is_ok_and(|length| length <= MAX_MESSAGE) => {}
                Some(_) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
                None => {}
            }
            Ok(Asks::Body)
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Whether a message may be a query at all: no reply ever comes of less than a header, or of a response (rows W39, W40).
pub(in crate::server) fn may_be_query(message: &[u8]) -> bool {
    message.len() >= 12 && message.get(2).is_some_and(|flags| flags & 0x80 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    /// The judgement of a request with these headers.
    fn judged(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asks, u16> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        judge(&request.body(()).unwrap().into_parts().0).map_err(|status| status.as_u16())
    }

    #[test]
    fn get_carries_one_message_without_padding() {
        assert_eq!(judged("GET", "/dns-query?dns=AAECAw", &[]), Ok(Asks::Message(vec![0, 1, 2, 3])));
        assert_eq!(judged("GET", "/dns-query?ct&dns=AAECAw&x=1", &[]), Ok(Asks::Message(vec![0, 1, 2, 3])));
        assert_eq!(judged("GET", "/dns-query?dns=_-8", &[]), Ok(Asks::Message(vec![0xff, 0xef])));
        for wrong in ["", "?", "?dns", "?dns=AAECAw==", "?dns=A", "?dns=%41", "?dns=+/", "?dns=AA&dns=AA"] {
            assert_eq!(judged("GET", &format!("/dns-query{wrong}"), &[]), Err(400), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_judged_before_anything_is_decoded() {
        // No alphabet has these letters: a decoder would say 400.
        let long = format!("/dns-query?dns={}", "!".repeat(LONGEST));
        assert!(long.parse::<http::Uri>().is_err(), "the library itself refuses it");
        let post =
            |length: &str| judged("POST", PATH, &[("content-type", MESSAGE), ("content-length", length)]);
        assert_eq!(post("65535"), Ok(Asks::Body));
        for length in ["65536", "1000000000000", "99999999999999999999999", "-1", "x"] {
            assert_eq!(post(length), Err(413), "{length}");
        }
    }

    #[test]
    fn paths_methods_and_types_have_codes_of_their_own() {
        assert_eq!(judged("GET", "/?dns=AAECAw", &[]), Err(404));
        assert_eq!(judged("POST", "/dns-query/", &[("content-type", MESSAGE)]), Err(404));
        for method in ["PUT", "HEAD", "DELETE", "OPTIONS", "BREW"] {
            assert_eq!(judged(method, PATH, &[]), Err(405), "{method}");
        }
        assert_eq!(judged("POST", PATH, &[]), Err(415));
        assert_eq!(judged("POST", PATH, &[("content-type", "application/json")]), Err(415));
        let spelled = [("content-type", "Application/DNS-Message; charset=x")];
        assert_eq!(judged("POST", PATH, &spelled), Ok(Asks::Body));
    }

    #[test]
    fn responses_and_fragments_are_no_queries() {
        assert!(!may_be_query(&[0; 11]));
        assert!(!may_be_query(&[0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
        assert!(may_be_query(&[0; 12]));
    }
}
