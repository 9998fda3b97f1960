//! What token endpoints really send, with the exact outcome: one row for each quirk.

use super::*;
use crate::error::{Error, RetryClass};
use crate::token::Token;
use chrono::{DateTime, Utc};
use http::StatusCode;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde_json::json;
use url::Url;

const SENT: i64 = 1_700_000_000;
const LATEST: i64 = 253_402_300_799;

fn sent_at() -> DateTime<Utc> {
    DateTime::from_timestamp(SENT, 0).unwrap()
}

fn read_as(status: u16, body: &[u8], rules: &ResponseRules) -> Result<Token, Error> {
    read_token(&response(status, body), rules)
}

fn response(status: u16, body: &[u8]) -> HttpResponse<'static> {
    HttpResponse {
        endpoint: "token endpoint",
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        content_type: None,
        location: None,
        body: Zeroizing::new(body.to_vec()),
        sent_at: sent_at(),
        of_refresh: true,
        may_be_bound: false,
        secrets: &["s3cret"],
    }
}

fn read(status: u16, body: impl AsRef<[u8]>) -> Result<Token, Error> {
    read_as(status, body.as_ref(), &ResponseRules::default())
}

/// A token with the given members besides the access token.
#[track_caller]
fn token_with(members: &str) -> Token {
    let comma = if members.is_empty() { "" } else { "," };
    let body = format!(r#"{{"access_token":"at"{comma}{members}}}"#);
    let token = read(200, &body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(token.access_token(), "at");
    token
}

#[test]
fn expires_in_becomes_this_deadline() {
    for (members, seconds) in [
        (r#""expires_in":3600"#, Some(3600)),
        (r#""expires_in":"3600""#, Some(3600)),
        (r#""expires_in":" 60 ""#, Some(60)),
        (r#""expires_in":"3600.5""#, Some(3600)),
        (r#""expires_in":3600.9"#, Some(3600)),
        (r#""expires_in":3.6e3"#, Some(3600)),
        // Never expired at birth: used until a 401.
        (r#""expires_in":-1"#, None),
        (r#""expires_in":"-30""#, None),
        (r#""expires_in":0"#, None),
        (r#""expires_in":"0""#, None),
        (r#""expires_in":0.0"#, None),
        (r#""expires_in":null"#, None),
        ("", None),
        (r#""expires_in":"""#, None),
        (r#""expires_in":{}"#, None),
        (r#""expires_in":[]"#, None),
        (r#""expires_in":true"#, None),
        (r#""expires_in":"never""#, None),
        (r#""expires_in":"inf""#, None),
        (r#""expires_in":"NaN""#, None),
        (r#""expires_in":315360000"#, Some(315_360_000)),
        (r#""expires_in":3600000"#, Some(3_600_000)),
        (r#""expires_in":999999999"#, Some(999_999_999)),
        // What would lie decades ahead as a lifetime is an epoch.
        (r#""expires_in":1700000060"#, Some(60)),
        (r#""expires_in":"1700000060""#, Some(60)),
        (r#""expires_in":1700000060000"#, Some(60)),
        (r#""expires_in":1600000000"#, None),
        (r#""expires_in":2147483648"#, Some(2_147_483_648 - SENT)),
        (r#""expires_in":18446744073709551616"#, Some(LATEST - SENT)),
        (r#""expires_in":1e30"#, Some(LATEST - SENT)),
        (r#""expires_in":1e400"#, Some(LATEST - SENT)),
        (r#""expires_in":"1e400""#, Some(LATEST - SENT)),
        (r#""expires_in":9223372036854775807"#, Some(LATEST - SENT)),
        (r#""expires_in":-1e400"#, None),
        (r#""expires_in":-9223372036854775808"#, None),
        (r#""expires":60"#, Some(60)),
        (r#""expires":"60""#, Some(60)),
        (r#""expires":60,"expires_in":3600"#, Some(3600)),
        (r#""expires":60,"expires_in":null"#, Some(60)),
        (r#""expires":1700000060"#, Some(60)),
        (r#""expires":"1700000060""#, Some(60)),
        (r#""expires":1700000060000"#, Some(60)),
        (r#""expires":"2023-11-14T22:14:20Z""#, Some(60)),
        (r#""expires":"2023-11-14T23:14:20+01:00""#, Some(60)),
        (r#""expires":"Tue, 14 Nov 2023 22:14:20 GMT""#, Some(60)),
        (r#""expires":"Tuesday, 14-Nov-23 22:14:20 GMT""#, Some(60)),
        (r#""expires":"Tue Nov 14 22:14:20 2023""#, Some(60)),
        (r#""expires":"soon""#, None),
        (r#""expires_in":"2023-11-14T22:14:20Z""#, Some(60)),
        (r#""expires_in_sec":3600,"expires_in":3600000"#, Some(3600)),
        (r#""expires_in_sec":"3600""#, Some(3600)),
        (r#""expires_in_sec":null,"expires_in":60"#, Some(60)),
        (r#""expires_at":5,"expires_in":3600"#, Some(3600)),
        (r#""expires_at":1700000060"#, Some(60)),
        (r#""expires_at":"1700000060""#, Some(60)),
        (r#""expires_at":1700000060000"#, Some(60)),
        (r#""expires_at":"1700000060000""#, Some(60)),
        (r#""expires_at":"2023-11-14T22:14:20Z""#, Some(60)),
        (r#""expires_at":1700000060,"expires_in":null"#, Some(60)),
        (r#""expires_at":1700000060,"expires_in":"""#, Some(60)),
        (r#""expires_at":1700000060,"expires_in":"never""#, Some(60)),
        (r#""expires_at":1700000060,"expires_in":0"#, Some(60)),
        (r#""expires_at":1700000060,"expires_in":-1"#, Some(60)),
        (r#""expires_on":"1700000060""#, Some(60)),
        (r#""expires_on":1700000060"#, Some(60)),
        (r#""expires_on":"1700000060","expires_in":"3600""#, Some(3600)),
        (r#""expires_on":"1700000060","not_before":"1699999700""#, Some(60)),
        (r#""expiry_date":1700000060000"#, Some(60)),
        (r#""ext_expires_in":7200,"expires_in":3600"#, Some(3600)),
        (r#""ext_expires_in":7200"#, None),
        (r#""expiresIn":60,"expiresAt":1700000060"#, None),
        // A clock that is hours off, the provider's or ours.
        (r#""expires_at":1699992860"#, None),
        (r#""expires_at":1700000000"#, None),
        (r#""expires_at":1699992860,"expires_in":3600"#, Some(3600)),
        (r#""expires_on":"1699992860""#, None),
        (r#""expires":"2023-11-14T20:14:20Z""#, None),
        (r#""expiry":"2023-11-14T23:14:20+01:00""#, Some(60)),
        (r#""expiry":"0001-01-01T00:00:00Z""#, None),
        (r#""expiry":5,"expires_in":3600"#, Some(3600)),
        (r#""expires_in":60,"expires_in":3600"#, Some(3600)),
    ] {
        let expected = seconds.map(|s| DateTime::from_timestamp(SENT + s, 0).unwrap());
        assert_eq!(token_with(members).expires_at(), expected, "{members}");
    }
}

/// The text in UTF-16.
fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn every_form_of_body_is_a_token() {
    let bodies: [&[u8]; 20] = [
        br#"{"access_token":"at"}"#,
        b"access_token=at",
        b"access_token=at&token_type=bearer&scope=a",
        b"\n  {\"access_token\":\"at\"}\r\n",
        b"\xef\xbb\xbf{\"access_token\":\"at\"}",
        b"\xef\xbb\xbfaccess_token=at",
        b"{\"access_token\":\"at\",\"name\":\"\xff\xfe\"}",
        br#"{"access_token":"first","access_token":"at"}"#,
        br#"{"access_token":"at","error":""}"#,
        br#"{"access_token":"at","error":null}"#,
        b"access_token=at&error=false",
        b"access_token=at&error=null",
        // Files with a byte-order mark each, one after the other; a C string with its end.
        b"\r\n\xef\xbb\xbf{\"access_token\":\"at\"}",
        b"\xef\xbb\xbf\n\xef\xbb\xbf{\"access_token\":\"at\"}\xef\xbb\xbf\n",
        b"{\"access_token\":\"at\"}\0",
        b"access_token=at\n\0\0",
        &utf16("\u{feff}{\"access_token\":\"at\"}", u16::to_le_bytes),
        &utf16("\u{feff}{\"access_token\":\"at\"}", u16::to_be_bytes),
        &utf16("{\"access_token\":\"at\",\"name\":\"\u{1f600}\"}\0", u16::to_le_bytes),
        &utf16("{\"access_token\":\"at\"}", u16::to_be_bytes),
    ];
    for body in bodies {
        for status in [200, 201, 203] {
            let token = read(status, body).unwrap();
            assert_eq!(token.access_token(), "at", "{}", String::from_utf8_lossy(body));
            assert!(token.token_type().eq_ignore_ascii_case("bearer"));
        }
    }
    let form = read(200, "access_token=at&expires=5108&scope=a+b").unwrap();
    assert_eq!(form.expires_at().unwrap().timestamp(), SENT + 5108);
    assert_eq!(form.scope(), Some("a b"));
    let form =
        read(200, "access_token=at&refresh_token=a%2Bb%2F%3D&expires_on=1700000060").unwrap();
    assert_eq!(form.refresh_token(), Some("a+b/="));
    assert_eq!(form.expires_at().unwrap().timestamp(), SENT + 60);
}

#[test]
fn a_deadline_that_was_read_is_no_member_of_its_own() {
    let token = token_with(
        r#""expires_in":3600000,"expires_in_sec":3600,"expires_on":"1700000060","ext_expires_in":7200,"scopes":"a""#,
    );
    assert_eq!(json!(token.extra()), json!({"ext_expires_in": 7200}));
    let renewed = token_with(r#""scope":"b""#).fill_missing_from(&token);
    let stored = serde_json::to_value(&renewed).unwrap();
    assert_eq!(
        stored,
        json!({"access_token": "at", "token_type": "Bearer", "scope": "b", "scope_is_of_renewal": true,
               "ext_expires_in": 7200}),
        "an answer without a lifetime never keeps the old deadline"
    );
}

#[test]
fn a_deadline_that_a_response_names_has_a_lifetime() {
    for (members, lifetime) in [
        (r#""expires_in":3600"#, Some(3600)),
        (r#""expires_at":1700000060"#, Some(60)),
        (r#""expires_at":1700000000.5"#, Some(1)),
        (r#""expires_at":5"#, None),
        ("", None),
    ] {
        assert_eq!(token_with(members).lifetime_s(), lifetime, "{members}");
    }
}

#[test]
fn token_types() {
    for (members, expected) in [
        ("", "Bearer"),
        (r#""token_type":null"#, "Bearer"),
        (r#""token_type":"""#, "Bearer"),
        (r#""token_type":"Bearer""#, "Bearer"),
        (r#""token_type":"bearer""#, "bearer"),
        (r#""token_type":"BEARER""#, "BEARER"),
        (r#""token_type":"bEARER""#, "bEARER"),
        (r#""token_type":" bearer ""#, "bearer"),
        (r#""token_type":"Bearer\n""#, "Bearer"),
        (r#""token_type":" ""#, "Bearer"),
    ] {
        assert_eq!(token_with(members).token_type(), expected, "{members}");
    }
    for other in ["mac", "N_A", "User Access Token", "example", "DPoP", "BearerToken", "jwt-bearer"]
    {
        let body = json!({"access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": other, "expires_in": 3600}).to_string();
        let error = read(200, &body).unwrap_err();
        assert!(error.is_malformed_response());
        assert_eq!(
            error.to_string(),
            format!(
                "the token endpoint's response (status 200 OK) cannot be used: its token type is {other:?}, not Bearer (OAuthClient::accept_token_type if it means that)"
            )
        );
        for accepted in [other.to_owned(), other.to_lowercase(), format!(" {other}\n")] {
            let rules = ResponseRules { bearer_types: vec![accepted], ..ResponseRules::default() };
            assert_eq!(read_as(200, body.as_bytes(), &rules).unwrap().token_type(), "Bearer");
        }
    }
    assert!(
        read(200, r#"{"access_token":"at","token_type":7}"#).unwrap_err().is_malformed_response()
    );
}

#[test]
fn refresh_tokens() {
    for (members, expected) in [
        ("", None),
        (r#""refresh_token":"""#, None),
        (r#""refresh_token":null"#, None),
        (r#""refresh_token":false"#, None),
        (r#""refresh_token":[]"#, None),
        (r#""refresh_token":{}"#, None),
        (r#""refresh_token":"new""#, Some("new")),
    ] {
        let response = token_with(members);
        assert_eq!(response.refresh_token(), expected, "{members}");
        let old = Token::new("old").unwrap().with_refresh_token("kept").with_scope("a");
        let renewed = response.fill_missing_from(&old);
        assert_eq!(renewed.refresh_token(), Some(expected.unwrap_or("kept")), "{members}");
        assert_eq!(renewed.scope(), Some("a"));
        assert_eq!(
            renewed.expires_at(),
            None,
            "an response without a lifetime never keeps the old deadline"
        );
    }
    for body in [
        &br#"{"access_token":"at","refresh_token":5}"#[..],
        br#"{"access_token":"at","refresh_token":true}"#,
        br#"{"access_token":"at","refresh_token":["new"]}"#,
        br#"{"access_token":"at","refresh_token":{"value":"new"}}"#,
        b"{\"access_token\":\"at\",\"refresh_token\":\"\xff\"}",
    ] {
        assert!(read(200, body).unwrap_err().is_malformed_response());
    }
}

#[test]
fn a_new_refresh_token_beside_an_unusable_access_token_is_kept() {
    for members in [
        "",
        r#""access_token":null"#,
        r#""access_token":"""#,
        r#""access_token":123"#,
        r#""access_token":{"token":"at"}"#,
        r#""access_token":"a\r\nX: y""#,
        r#""access_token":"é""#,
        r#""access_token":"at","token_type":"mac""#,
        r#""access_token":"at","token_type":"User Access Token""#,
        r#""access_token":"at","token_type":7"#,
    ] {
        for (refresh_token, kept) in [
            ("", None),
            (r#""refresh_token":null"#, None),
            (r#""refresh_token":"""#, None),
            (r#""refresh_token":5"#, None),
            (r#""refresh_token":"new""#, Some("new")),
        ] {
            let parts: Vec<&str> = [members, refresh_token, r#""scope":"a""#]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            let body = format!("{{{}}}", parts.join(","));
            let error = read(200, &body).unwrap_err();
            assert!(error.is_malformed_response(), "{body}");
            assert!(!format!("{error} {error:?}").contains("new"), "{body}: {error:?}");
            let (error, refresh_token) = error.split_refresh_token(Some("old"));
            assert_eq!(refresh_token.as_ref().map(|text| text.expose_secret()), kept, "{body}");
            let told = error.to_string().ends_with("; the new refresh token in it is kept");
            assert_eq!(told, kept.is_some(), "{body}: {error}");
            assert!(error.split_refresh_token(None).1.is_none());
        }
    }
    for status in [302, 400, 401, 500] {
        let error = read(status, r#"{"access_token":"","refresh_token":"new"}"#).unwrap_err();
        assert!(error.split_refresh_token(None).1.is_none(), "{status}: nothing was issued");
    }
}

#[test]
fn a_new_refresh_token_beside_an_error_code_is_kept() {
    for (status, body, kept) in [
        (200, r#"{"access_token":"at","refresh_token":"new","error":"partial_scope"}"#, true),
        (200, r#"{"refresh_token":"new","error":"invalid_grant"}"#, true),
        (201, r#"{"refresh_token":"new","error":{"code":"oops"}}"#, true),
        (200, "error=bad_refresh_token&refresh_token=new", true),
        (200, "token_type=bearer&refresh_token=new", true),
        (200, "refresh_token=new", true),
        (200, r#"{"refresh_token":"","error":"invalid_grant"}"#, false),
        (200, r#"{"refresh_token":"old","error":"invalid_grant"}"#, false),
        // Nothing was issued.
        (400, r#"{"refresh_token":"new","error":"invalid_grant"}"#, false),
        (503, r#"{"refresh_token":"new","error":"server_error"}"#, false),
    ] {
        let error = read(status, body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("new"), "{body}: {error:?}");
        let (error, refresh_token) = error.split_refresh_token(Some("old"));
        let refresh_token = refresh_token.as_ref().map(|text| text.expose_secret());
        assert_eq!(refresh_token, kept.then_some("new"), "{status} {body}");
        let told = error.to_string().ends_with("; the new refresh token in it is kept");
        assert_eq!(told, kept, "{body}: {error}");
    }
}

#[test]
fn nobody_can_tell_whether_a_form_is_whole() {
    let whole = br#" {"access_token":"at","refresh_token":"new"}"#;
    let form = b"access_token=at&refresh_token=new";
    assert!(is_whole_object(whole));
    assert!(!is_whole_object(form) && !is_whole_object(&whole[..whole.len() - 1]));
    let kept = |body: &[u8]| {
        issued_in_part(StatusCode::OK, body).map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(kept(&whole[..whole.len() - 1]).as_deref(), Some("new"));
    assert_eq!(kept(form), None);
}

#[test]
fn of_an_object_that_is_cut_off_the_whole_refresh_token_is_kept() {
    for (body, kept) in [
        (r#"{"access_token":"at","refresh_token":"new","expires_in":36"#, true),
        (r#"{"access_token":"at","refresh_token":"new""#, true),
        (r#"{"refresh_token":"new","#, true),
        (r#" {"refresh_token" : "new" , "user":{"name":"a, b","x":["#, true),
        (r#"{"refresh_token":"ne\u0077","name":"Bob \ud83d","scope":"a"#, true),
        (r#"{"refresh_token":"first","refresh_token":"new","x"#, true),
        (r#"{"error":"partial_scope","refresh_token":"new","x":{}"#, true),
        // Something is behind it.
        (r#"{"access_token":"at","refresh_token":"new"}<!-- 3 ms -->"#, true),
        (r#"{"refresh_token":"new"}{"a":1,"b":2}"#, true),
        (r#"{"refresh_token":"new","x":{"y":"}"}} , }"#, true),
        (r#"{"a":1} "refresh_token":"new","b":2}"#, false),
        (r#"{"a":1}{"refresh_token":"new","b":2}"#, false),
        // A list of one, and what is encoded twice.
        (r#"[{"access_token":"at","refresh_token":"new"}]"#, true),
        (r#"[{"access_token":"at","refresh_token":"new"},{"access_token":"a"}]"#, false),
        (r#"[{"access_token":"a"},{"access_token":"at","refresh_token":"new"}]"#, false),
        (r#"[[{"access_token":"at","refresh_token":"new"}]]"#, false),
        (r#""{\"access_token\":\"at\",\"refresh_token\":\"new\"}""#, true),
        (r#""{\"access_token\":\"at\",\"refresh_token\":\"new\""#, false),
        (r#""access_token=at&refresh_token=new""#, false),
        // Its end may be missing.
        (r#"{"access_token":"at","refresh_token":"ne"#, false),
        (r#"{"access_token":"at","refresh_token":"new\"#, false),
        (r#"{"access_token":"at","refresh_token":5,"x"#, false),
        // It is another member's.
        (r#"{"x":{"refresh_token":"new","y":1},"z"#, false),
        (r#"{"x":"\"refresh_token\":\"new\",","z"#, false),
        (r#"["refresh_token","new","#, false),
        (r#""refresh_token":"new","#, false),
    ] {
        for (status, kept) in [(200, kept), (400, false), (302, false)] {
            let error = read(status, body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("new"), "{body}: {error:?}");
            let (_, refresh_token) = error.split_refresh_token(Some("old"));
            let refresh_token = refresh_token.as_ref().map(|text| text.expose_secret());
            assert_eq!(refresh_token, kept.then_some("new"), "{status} {body}");
        }
    }
}

#[test]
fn a_refresh_token_that_is_nested_or_named_otherwise_is_kept_beside_an_access_token() {
    let pair = r#"{"access_token":"at","refresh_token":"new"}"#;
    for (body, kept) in [
        (format!(r#"{{"data":{pair}}}"#), true),
        (format!(r#"{{"ok":true,"authed_user":{pair}}}"#), true),
        (format!(r#"{{"error":"x_y","result":{pair}}}"#), true),
        (r#"{"accessToken":"at","refreshToken":"new"}"#.to_owned(), true),
        (r#"{"data":{"accessToken":"at","refreshToken":"new"}}"#.to_owned(), true),
        (format!(r#"{{"status":0,"body":{pair}}}"#), true),
        (format!(r#"{{"access_token":"","data":{pair}}}"#), true),
        (format!(r#"{{"refresh_token":"new","data":{}}}"#, pair.replace("new", "other")), true),
        // Nobody says that it is this login's.
        (r#"{"data":{"refresh_token":"new"}}"#.to_owned(), false),
        (r#"{"data":{"access_token":"","refresh_token":"new"}}"#.to_owned(), false),
        (r#"{"refreshToken":"new"}"#.to_owned(), false),
        (format!(r#"{{"previous":{pair}}}"#), false),
        (format!(r#"{{"data":[{pair}]}}"#), false),
        (format!(r#"{{"data":{{"data":{pair}}}}}"#), false),
        (format!(r#"{{"access_token":"at","token_type":"mac","authed_user":{pair}}}"#), false),
        (r#"{"data":{"access_token":"at","refresh_token":5}}"#.to_owned(), false),
    ] {
        for (status, kept) in [(200, kept), (400, false)] {
            let error = read(status, &body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("new"), "{body}: {error:?}");
            let (_, refresh_token) = error.split_refresh_token(Some("old"));
            let refresh_token = refresh_token.as_ref().map(|text| text.expose_secret());
            assert_eq!(refresh_token, kept.then_some("new"), "{status} {body}");
        }
    }
}

#[test]
fn behind_a_notice_the_refresh_token_is_kept_beside_an_access_token() {
    let pair = r#"{"access_token":"at","refresh_token":"new","scope":{}}"#;
    for (body, kept) in [
        (
            format!("<br />\n<b>Deprecated</b>: {{closure}}() in <b>/a.php</b><br />\n{pair}\n"),
            true,
        ),
        (format!("Notice: undefined index\n{{ \"x\":1,{}", &pair[1..]), true),
        (format!("(anonymous({pair});"), true),
        (format!(")]}}',\n{pair}"), true),
        (format!("Warning: no\n{}", &pair[..pair.len() - 4]), true),
        // It may be cut, or another's.
        (r#"Warning: no {"access_token":"at","refresh_token":"new"#.to_owned(), false),
        (r#"Warning: no {"refresh_token":"new"}"#.to_owned(), false),
        (format!(r#"Warning: no {{"x":{pair}}}"#), false),
        (format!(r#"Warning: no {{"x":1}} {pair}"#), false),
        ("<p>refresh_token=new&access_token=at".to_owned(), false),
    ] {
        for (status, kept) in [(200, kept), (400, false), (302, false)] {
            let error = read(status, &body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("new"), "{body}: {error:?}");
            let (_, refresh_token) = error.split_refresh_token(Some("old"));
            let refresh_token = refresh_token.as_ref().map(|text| text.expose_secret());
            assert_eq!(refresh_token, kept.then_some("new"), "{status} {body}");
        }
    }
}

#[test]
fn what_the_application_maps_brings_the_refresh_token_of_an_error_too() {
    let rules = ResponseRules {
        map_response: Some(std::sync::Arc::new(|mut members| match members.remove("data") {
            Some(serde_json::Value::Object(data)) => data,
            _ => members,
        })),
        ..ResponseRules::default()
    };
    let body = br#"{"data":{"error":"partial_scope","refresh_token":"new"}}"#;
    let error = read_as(200, body, &rules).unwrap_err();
    let (_, refresh_token) = error.split_refresh_token(None);
    assert_eq!(refresh_token.unwrap().expose_secret(), "new");
}

#[test]
fn scopes() {
    for (members, expected) in [
        ("", None),
        (r#""scope":null"#, None),
        (r#""scope":"""#, None),
        (r#""scope":"a b""#, Some("a b")),
        (r#""scope":"a,b""#, Some("a,b")),
        (r#""scope":["a","b"]"#, Some("a b")),
        (r#""scope":[]"#, None),
        (r#""scope":7"#, None),
        (r#""scopes":"a b""#, Some("a b")),
        (r#""scopes":["a","b"]"#, Some("a b")),
        (r#""scopes":"a","scope":"b""#, Some("b")),
        (r#""scopes":"a","scope":"""#, Some("a")),
        (r#""scopes":"a","scope":null"#, Some("a")),
    ] {
        assert_eq!(token_with(members).scope(), expected, "{members}");
    }
}

#[test]
fn unknown_members_are_kept_through_save_and_load() {
    let token = token_with(
        r#""id_token":"e.y.J","team":{"id":7},"n":1e999,"expires_in":60,"expiry":"x","scope":"s","refresh_token":"rt""#,
    );
    let extra = json!({"id_token": "e.y.J", "team": {"id": 7}, "n": "1e999"});
    assert_eq!(json!(token.extra()), extra);
    let loaded: Token = serde_json::from_str(&serde_json::to_string(&token).unwrap()).unwrap();
    assert_eq!(json!(loaded.extra()), extra);
    assert_eq!(loaded.expires_at(), token.expires_at());
    assert_eq!((loaded.scope(), loaded.refresh_token()), (Some("s"), Some("rt")));
}

#[test]
fn what_is_read_is_not_too_deep_to_be_loaded() {
    let nested = |depth, inner| "[".repeat(depth) + inner + &"]".repeat(depth);
    for (depth, kept) in [
        (126, nested(126, "")),
        (127, nested(126, "null")),
        (128, nested(126, "null")),
        (100_000, nested(126, "null")),
    ] {
        let token = token_with(&format!(r#""x":{},"refresh_token":"rt""#, nested(depth, "")));
        assert_eq!(token.refresh_token(), Some("rt"), "{depth}");
        assert_eq!(token.extra()["x"].to_string(), kept, "{depth}");
        let stored = serde_json::to_string(&token).unwrap();
        let loaded: Token = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded.extra(), token.extra());
    }
}

#[test]
fn large_tokens_are_fine() {
    let large = "a".repeat(8 * 1024);
    let body = json!({"access_token": large, "refresh_token": large}).to_string();
    assert_eq!(read(200, body).unwrap().access_token(), large);
}

#[test]
fn a_page_that_names_a_url_with_a_query_is_no_form() {
    for body in [
        "Found. Redirecting to /login?return=%2Ftoken&error=login_required",
        "Found. Redirecting to https://sso.example/?rd=%2F&error=token_expired",
        "https://sso.example/login?rd=%2F&error=login_required",
        "/login?rd=%2F&error=invalid_grant&access_token=at",
        "login?rd=%2F&error=login_required",
    ] {
        for status in [200, 302, 401, 403, 503] {
            let error = read(status, body).unwrap_err();
            assert_eq!(error.error_code(), None, "{status} {body}");
            assert_ne!(error.retry_class(), RetryClass::Permanent, "{status} {body}");
        }
    }
    let error = read(400, "error=login_required&error_uri=https://p.example/?a=b").unwrap_err();
    assert_eq!(error.error_code(), Some("login_required"));
}

#[test]
fn what_each_refusal_means() {
    use RetryClass::{Foreign, Misconfigured, Permanent, Transient};
    let html = "<html><body>nope</body></html>";
    for (status, body, code, class) in [
        // The provider's word about the refresh token, whatever the status and the shape.
        (400, r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        (401, r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        (403, r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        (503, r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        (200, "error=bad_refresh_token", Some("bad_refresh_token"), Permanent),
        (
            200,
            r#"{"error":"bad_refresh_token","error_description":"x"}"#,
            Some("bad_refresh_token"),
            Permanent,
        ),
        (
            200,
            r#"{"ok":false,"error":"invalid_refresh_token"}"#,
            Some("invalid_refresh_token"),
            Permanent,
        ),
        (200, r#"{"ok":false,"error":"token_expired"}"#, Some("token_expired"), Permanent),
        (200, r#"{"ok":false,"error":"token_revoked"}"#, Some("token_revoked"), Permanent),
        (400, r#"{"error":"invalid_code"}"#, Some("invalid_code"), Permanent),
        (400, r#"{"error":"interaction_required"}"#, Some("interaction_required"), Permanent),
        (400, r#"{"error":"login_required"}"#, Some("login_required"), Permanent),
        (400, r#"{"error":"consent_required"}"#, Some("consent_required"), Permanent),
        (
            401,
            r#"{"error":{"code":"refresh_token_reused","message":"m"}}"#,
            Some("refresh_token_reused"),
            Permanent,
        ),
        (
            401,
            r#"{"error":{"type":"invalid_request_error","code":"refresh_token_reused"}}"#,
            Some("refresh_token_reused"),
            Permanent,
        ),
        (
            401,
            r#"{"error":{"type":"invalid_request_error","code":"refresh_token_invalidated"}}"#,
            Some("refresh_token_invalidated"),
            Permanent,
        ),
        (
            200,
            r#"{"error":{"code":"refresh_token_reused"}}"#,
            Some("refresh_token_reused"),
            Permanent,
        ),
        (
            400,
            r#"{"status":"BAD_REFRESH_TOKEN","message":"m"}"#,
            Some("BAD_REFRESH_TOKEN"),
            Permanent,
        ),
        (
            400,
            r#"{"errors":[{"errorType":"invalid_grant","message":"m"}],"success":false}"#,
            Some("invalid_grant"),
            Permanent,
        ),
        (400, r#"{"errors":["invalid_grant"]}"#, Some("invalid_grant"), Permanent),
        (400, r#"{"errorCode":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        (400, r#"{"error":true,"message":"invalid_grant"}"#, Some("invalid_grant"), Permanent),
        // With something beside it that is not quite JSON.
        (
            400,
            r#"{"error":"invalid_grant","error_description":"no Bob \ud83d"}"#,
            Some("invalid_grant"),
            Permanent,
        ),
        (
            400,
            r#"{"error":{"code":"invalid_grant","\ude00":NaN,"trace":[1e400]}}"#,
            Some("invalid_grant"),
            Permanent,
        ),
        // Cut off, with a comma too many, with something behind it.
        (
            400,
            r#"{"error":"invalid_grant","error_description":"a"#,
            Some("invalid_grant"),
            Permanent,
        ),
        (400, r#"{"error":"invalid_grant",}"#, Some("invalid_grant"), Permanent),
        // In a list of one, and encoded twice.
        (400, r#"[{"error":"invalid_grant"}]"#, Some("invalid_grant"), Permanent),
        (400, r#""{\"error\":\"invalid_grant\"}""#, Some("invalid_grant"), Permanent),
        (
            401,
            r#"[{"message":"m","errorCode":"INVALID_SESSION_ID"}]"#,
            Some("INVALID_SESSION_ID"),
            Misconfigured,
        ),
        (401, r#"{"error":"invalid_client"}<!-- x -->"#, Some("invalid_client"), Misconfigured),
        (
            400,
            r#"{"error":"Bad Request","error_description":"invalid_grant"}"#,
            Some("invalid_grant"),
            Permanent,
        ),
        // A code that blames the client or the request; one that nobody knows; a 401.
        (401, r#"{"error":"invalid_client"}"#, Some("invalid_client"), Misconfigured),
        (401, "", None, Misconfigured),
        (401, html, None, Misconfigured),
        (401, r#"{"message":"who are you?"}"#, None, Misconfigured),
        (401, r#"{"error":"Unauthorized"}"#, None, Misconfigured),
        (403, r#"{"error":"unauthorized_client"}"#, Some("unauthorized_client"), Misconfigured),
        (400, r#"{"error":"invalid_request"}"#, Some("invalid_request"), Misconfigured),
        (
            400,
            r#"{"error":"unsupported_grant_type"}"#,
            Some("unsupported_grant_type"),
            Misconfigured,
        ),
        (200, "error=bad_verification_code", Some("bad_verification_code"), Misconfigured),
        (400, r#"{"error":"who_knows"}"#, Some("who_knows"), Misconfigured),
        (
            400,
            r#"{"error":{"message":"m","type":"OAuthException","code":190}}"#,
            Some("OAuthException"),
            Misconfigured,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED"}}"#,
            Some("PERMISSION_DENIED"),
            Misconfigured,
        ),
        (400, r#"{"error":"Access Denied"}"#, Some("Access Denied"), Misconfigured),
        // Later.
        (408, "", None, Transient),
        (425, "", None, Transient),
        (429, html, None, Transient),
        (429, r#"{"error":"who_knows"}"#, Some("who_knows"), Transient),
        (500, "", None, Transient),
        (502, html, None, Transient),
        // No status of HTTP: as 5xx.
        (600, r#"{"access_token":"at"}"#, None, Transient),
        (999, html, None, Transient),
        (865, r#"{"error":"who_knows"}"#, Some("who_knows"), Transient),
        (503, r#"{"error":"temporarily_unavailable"}"#, Some("temporarily_unavailable"), Transient),
        (500, r#"{"error":"who_knows"}"#, Some("who_knows"), Transient),
        (503, r#"{"error":"Service Unavailable"}"#, None, Transient),
        (200, r#"{"ok":false,"error":"internal_error"}"#, Some("internal_error"), Transient),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, Some("ratelimited"), Transient),
        (200, r#"{"ok":false,"error":"fatal_error"}"#, Some("fatal_error"), Transient),
        (
            200,
            r#"{"ok":false,"error":"service_unavailable"}"#,
            Some("service_unavailable"),
            Transient,
        ),
        (200, r#"{"ok":false,"error":"request_timeout"}"#, Some("request_timeout"), Transient),
        (
            400,
            r#"{"error":"Access Denied","error_description":"You have made too many requests continuously. Please try again after some time.","status":"failure"}"#,
            Some("Access Denied"),
            Transient,
        ),
        (403, r#"{"message":"You have exceeded a secondary rate limit"}"#, None, Transient),
        (400, r#"{"error":"internal_failure"}"#, Some("internal_failure"), Transient),
        (
            400,
            r#"{"error":"unknown_error","error_description":"retry your request"}"#,
            Some("unknown_error"),
            Transient,
        ),
        // The token was not judged.
        (
            400,
            r#"{"error":"invalid_grant","error_description":"token request is already being processed"}"#,
            Some("invalid_grant"),
            Transient,
        ),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS50196: The server terminated an operation because it encountered a client request loop."}"#,
            Some("invalid_grant"),
            Transient,
        ),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"login rate exceeded"}"#,
            Some("invalid_grant"),
            Transient,
        ),
        (
            429,
            r#"{"error":"invalid_grant","error_description":"Too many requests"}"#,
            Some("invalid_grant"),
            Transient,
        ),
        (
            407,
            r#"{"error":"invalid_grant","error_description":"already being processed"}"#,
            Some("invalid_grant"),
            Foreign,
        ),
        // Not the provider's word.
        (400, "", None, Foreign),
        (403, "", None, Foreign),
        (400, html, None, Foreign),
        (403, html, None, Foreign),
        (404, html, None, Foreign),
        (405, "", None, Foreign),
        (407, html, None, Foreign),
        (451, html, None, Foreign),
        (400, "{}", None, Foreign),
        (400, "[]", None, Foreign),
        // The code may be cut off.
        (400, r#"{"error":"invalid_grant"#, None, Foreign),
        (400, r#"{"access_token":"at","token_type":"bearer"}"#, None, Foreign),
        (
            404,
            r#"{"timestamp":"x","status":404,"error":"Not Found","path":"/token"}"#,
            None,
            Foreign,
        ),
        (400, r#"{"status":"error","message":"no such thing"}"#, None, Foreign),
        (
            404,
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"m"}"#,
            None,
            Foreign,
        ),
        (200, r#"{"error":{"message":"m"}}"#, None, Foreign),
    ] {
        let error = read(status, body).unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status, "{body}");
        assert_eq!(error.error_code(), code, "{status} {body}");
        assert_eq!(error.retry_class(), class, "{status} {body}");
        assert!(!error.is_malformed_response(), "{status} {body}");
        assert_eq!(error.is_transient(), matches!(class, Transient | Foreign), "{status} {body}");
    }
}

#[test]
fn a_code_that_the_application_names_ends_the_login() {
    let named = |code: &str| ResponseRules {
        ends_login: vec![code.to_owned()],
        ..ResponseRules::default()
    };
    for code in ["invalid_request", "INVALID_REQUEST", "unauthorized_client", "who knows"] {
        let body = json!({"error": code.to_ascii_lowercase()}).to_string();
        let error = read_as(400, body.as_bytes(), &named(code)).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Permanent, "{code}");
        let error = read_as(400, body.as_bytes(), &named("another")).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Misconfigured, "{code}");
    }
}

#[test]
fn a_code_that_the_application_names_is_found_beside_one_that_is_known() {
    for (status, body) in [
        (401, r#"{"error":{"message":"m","type":"invalid_request_error","code":"gone"}}"#),
        (400, r#"{"error":"invalid_request","error_code":"gone"}"#),
        (400, r#"{"error":{"code":400,"message":"GONE","status":"INVALID_ARGUMENT"}}"#),
        (400, r#"{"error":"invalid_request","error_description":"gone"}"#),
        (400, r#"{"error":"invalid_request","reason":"Gone"}"#),
        (200, r#"{"error":"invalid_request","code":"gone"}"#),
        (400, r#"{"error":"invalid_request","suberror":"gone"}"#),
        (200, r#"{"error":{"type":"invalid_request","code":"gone"}}"#),
        (200, "error=invalid_request&error_description=gone"),
    ] {
        let read = |code: &str| {
            let rules =
                ResponseRules { ends_login: vec![code.to_owned()], ..ResponseRules::default() };
            read_as(status, body.as_bytes(), &rules).unwrap_err()
        };
        let error = read("gone");
        assert_eq!(error.retry_class(), RetryClass::Permanent, "{body}");
        assert!(error.has_code("gone"), "{body}");
        assert_eq!(read("another").retry_class(), RetryClass::Misconfigured, "{body}");
    }
    // In a success without an `error`.
    for body in [
        r#"{"ok":false,"code":"gone"}"#,
        r#"{"errors":[{"errorType":"gone","message":"m"}],"success":false}"#,
        r#"{"error":"","message":"gone"}"#,
        r#"{"error":7,"error_code":"Gone"}"#,
    ] {
        let rules = |code: &str| ResponseRules {
            ends_login: vec![code.to_owned()],
            ..ResponseRules::default()
        };
        let error = read_as(200, body.as_bytes(), &rules("gone")).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Permanent, "{body}");
        assert!(error.has_code("gone"), "{body}");
        let error = read_as(200, body.as_bytes(), &rules("another")).unwrap_err();
        assert!(error.is_malformed_response(), "{body}: {error}");
        let with_token = body.replacen('{', r#"{"access_token":"at","#, 1);
        assert!(read_as(200, with_token.as_bytes(), &rules("gone")).is_ok(), "{body}");
        // Elsewhere these members mean something else.
        let endpoint = "introspection endpoint";
        let elsewhere = HttpResponse { endpoint, ..response(200, body.as_bytes()) };
        assert!(read_members(&elsewhere, &rules("gone")).is_ok(), "{body}");
    }
    // A number.
    for (status, body) in [
        (400, r#"{"error":{"message":"m","type":"OAuthException","code":190}}"#),
        (400, r#"{"code":190,"message":"m"}"#),
        (200, r#"{"errcode":190,"errmsg":"invalid refresh_token"}"#),
        (400, r#"{"error":"invalid_request","error_codes":[65,190]}"#),
        (400, r#"{"error":{"type":"OAuthException","code":1,"error_subcode":190}}"#),
        (200, r#"{"error":{"code":190.0,"message":"m"}}"#),
        (200, r#"{"error_code":"190"}"#),
    ] {
        let rules = |code: &str| ResponseRules {
            ends_login: vec![code.to_owned()],
            ..ResponseRules::default()
        };
        let error = read_as(status, body.as_bytes(), &rules("190")).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Permanent, "{body}");
        assert!(error.has_code("190"), "{body}");
        let error = read_as(status, body.as_bytes(), &rules("19")).unwrap_err();
        assert_ne!(error.retry_class(), RetryClass::Permanent, "{body}");
    }
    // What is no code by its form, or repeats the status.
    for (status, code) in [
        (400, "this login has ended, and somebody has to begin it again"),
        (400, "failed"),
        (401, "Unauthorized"),
    ] {
        let rules = ResponseRules { ends_login: vec![code.to_owned()], ..ResponseRules::default() };
        let body = json!({ "error": code }).to_string();
        let error = read_as(status, body.as_bytes(), &rules).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Permanent, "{code}");
    }
}

#[test]
fn a_sentence_ends_a_login_only_where_it_names_the_refresh_token_or_the_grant() {
    use RetryClass::{Foreign, Misconfigured, Permanent};
    for (status, body, class) in [
        (401, r#"{"message":"Login required"}"#, Misconfigured),
        (403, r#"{"error":"Token expired"}"#, Misconfigured),
        (404, r#"{"message":"Invalid code"}"#, Foreign),
        (404, r#"{"error":"Invalid code"}"#, Misconfigured),
        (403, r#"{"message":"Consent required"}"#, Foreign),
        (200, r#"{"error":"Token revoked"}"#, Misconfigured),
        (400, r#"{"message":"Invalid refresh token"}"#, Permanent),
        (400, r#"{"error":"Refresh token expired"}"#, Permanent),
        (400, r#"{"error":"Invalid grant"}"#, Permanent),
        (400, r#"{"message":"invalid_grant"}"#, Permanent),
        (400, r#"{"message":"login_required"}"#, Permanent),
        (400, r#"{"error":"TOKEN-EXPIRED"}"#, Permanent),
        // A proxy and a captive portal, by their status.
        (407, r#"{"error":"login_required"}"#, Foreign),
        (511, r#"{"error":"login_required"}"#, Foreign),
        (407, r#"{"error":"invalid_client"}"#, Foreign),
        (511, "", Foreign),
    ] {
        let error = read(status, body).unwrap_err();
        assert_eq!(error.retry_class(), class, "{status} {body}");
    }
}

#[test]
fn an_error_that_is_empty_or_says_ok_hides_no_token() {
    for error in [
        "{}",
        r#""""#,
        "null",
        "false",
        "0",
        r#"{"code":"ok","message":""}"#,
        r#"{"code":"","message":""}"#,
        r#"{"code":0,"message":"success"}"#,
        r#""ok""#,
        r#""SUCCESS""#,
        r#""false""#,
        r#"" Null ""#,
    ] {
        let token = token_with(&format!(r#""error":{error}"#));
        assert!(token.extra().is_empty(), "{error}");
    }
    for error in [r#"{"code":"invalid_grant"}"#, r#""invalid_grant""#] {
        let body = format!(r#"{{"access_token":"at","error":{error}}}"#);
        assert_eq!(read(200, body).unwrap_err().error_code(), Some("invalid_grant"), "{error}");
    }
}

#[test]
fn an_introspection_that_judges_the_token_is_no_error_of_the_request() {
    let endpoint = "introspection endpoint";
    for (body, is_error) in [
        (r#"{"active":false,"error":"invalid_token","error_description":"expired"}"#, false),
        (r#"{"active":true,"error":{"code":"x_y"}}"#, false),
        (r#"{"active":"false","error":"invalid_token"}"#, true),
        (r#"{"error":"invalid_client"}"#, true),
    ] {
        let response = HttpResponse { endpoint, ..response(200, body.as_bytes()) };
        let read = read_members(&response, &ResponseRules::default());
        assert_eq!(read.is_err(), is_error, "{body}");
    }
    let body = r#"{"active":false,"error":"invalid_token"}"#;
    let refused = HttpResponse { endpoint, ..response(401, body.as_bytes()) };
    assert!(read_members(&refused, &ResponseRules::default()).is_err());
}

#[test]
fn a_refusal_says_what_was_sent_and_what_to_check() {
    let auth = "servers differ in how they take id and secret (ClientAuthentication, BasicEncoding): check the client id, its secret and the client authentication method";
    let names =
        "if this code says that the refresh token is dead, name it with OAuthClient::ends_login";
    let url = "check the endpoint's URL; if it is right, a proxy or firewall has answered instead of the provider";
    let foreign = "a proxy, a firewall or a captive portal may have answered instead of the provider, or the endpoint's URL is wrong";
    for (status, media_type, body, message) in [
        (400, "", r#"{"error":"invalid_grant"}"#, "the token endpoint refused the request (status 400): invalid_grant".to_owned()),
        (401, "", r#"{"error":"invalid_client"}"#, format!("the token endpoint refused the request (status 401): invalid_client; {auth}")),
        (200, "", r#"{"error":"incorrect_client_credentials"}"#, format!("the token endpoint refused the request (status 200): incorrect_client_credentials; {auth}")),
        (400, "", r#"{"error":"unauthorized_client"}"#, format!("the token endpoint refused the request (status 400): unauthorized_client; let the client use this grant, in the provider's settings; if it may already, {auth}")),
        (401, "", "", format!("the token endpoint answered with status 401 and no error code (an empty body); {auth}")),
        (401, "text/html", "<p>no", format!("the token endpoint answered with status 401 and no error code (text/html, 5 bytes); {auth}")),
        (401, "", r#"{"message":"who are you?"}"#, format!("the token endpoint refused the request (status 401): who are you?; {auth}")),
        (400, "", r#"{"error":"invalid_request"}"#, format!("the token endpoint refused the request (status 400): invalid_request; {names}")),
        (400, "", r#"{"error":"invalid_scope"}"#, "the token endpoint refused the request (status 400): invalid_scope; ask for scopes that the provider knows".to_owned()),
        (404, "text/html; charset=utf-8", "<p>no", format!("the token endpoint answered with status 404 and no error code (text/html, 5 bytes); {url}")),
        (405, "", "", format!("the token endpoint answered with status 405 and no error code (an empty body); {url}")),
        (404, "", r#"{"error":"Not Found"}"#, format!("the token endpoint refused the request (status 404): Not Found; {url}")),
        (403, "", "", "the token endpoint answered with status 403 and no error code (an empty body); a proxy or firewall may have answered instead of the provider; some providers answer so if the refresh token is dead".to_owned()),
        (403, "text/html", "<p>no", format!("the token endpoint answered with status 403 and no error code (text/html, 5 bytes); {foreign}")),
        (407, "", "", "the token endpoint answered with status 407 and no error code (an empty body); a proxy wants a login; check the settings of the proxy".to_owned()),
        (511, "text/html", "<p>no", "the token endpoint answered with status 511 and no error code (text/html, 5 bytes); a captive portal wants a login to the network".to_owned()),
        (502, "text/html", "<p>no", "the token endpoint answered with status 502 and no error code (text/html, 5 bytes); the provider is down, or a proxy in front of it".to_owned()),
        (503, "", "", "the token endpoint refused the request (status 503)".to_owned()),
    ] {
        let content_type = Some(media_type.to_owned());
        let response = HttpResponse { content_type, ..response(status, body.as_bytes()) };
        let error = read_token(&response, &ResponseRules::default()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_description_is_found_where_providers_put_it() {
    for (body, description) in [
        (r#"{"error":"x_y","error_description":"why"}"#, "why"),
        (r#"{"error":{"code":"x_y","message":"why"}}"#, "why"),
        (r#"{"errors":[{"errorType":"x_y","message":"why"}]}"#, "why"),
        (r#"{"errors":["why not?"]}"#, "why not?"),
        (r#"{"status":"x_y","message":"why"}"#, "why"),
        (r#"{"message":"why"}"#, "why"),
        (r#"{"error_message":"why"}"#, "why"),
        (r#"{"title":"t","detail":"why"}"#, "why"),
        (r#"{"error":"x_y","reason":"why"}"#, "why"),
        (r#"{"errorCode":"E0000011","errorSummary":"why"}"#, "why"),
        (r#"{"errcode":40030,"errmsg":"why"}"#, "why"),
        (r#"{"Message":"why"}"#, "why"),
        (r#"{"Error":"x_y","ErrorDescription":"why"}"#, "why"),
        (r#"{"detail":{"error":"x_y","error_description":"why"}}"#, "why"),
        (r#"{"detail":[{"loc":["body"],"msg":"why","type":"missing"}]}"#, "why"),
        (r#"{"fault":{"faultstring":"why","detail":{"errorcode":"x.y"}}}"#, "why"),
        (
            r#"{"error":"why it went wrong is told in a sentence"}"#,
            "why it went wrong is told in a sentence",
        ),
    ] {
        assert_eq!(read(400, body).unwrap_err().error_description(), Some(description), "{body}");
    }
    let error = read(400, r#"{"error":{"error":{"error":{"message":"too deep"}}}}"#).unwrap_err();
    assert_eq!(error.error_description(), None);
}

#[test]
fn codes_are_found_in_any_case_of_letters_and_where_frameworks_nest_them() {
    use RetryClass::{Misconfigured, Permanent};
    for (body, code, class) in [
        // .NET, Apigee.
        (r#"{"Error":"invalid_grant"}"#, "invalid_grant", Permanent),
        (r#"{"ErrorCode":"invalid_client","Error":"no such id"}"#, "invalid_client", Misconfigured),
        (
            r#"{"ErrorCode":"invalid_request","Error":"Invalid Refresh Token"}"#,
            "Invalid Refresh Token",
            Permanent,
        ),
        (
            r#"{"fault":{"faultstring":"m","detail":{"errorcode":"invalid_refresh_token"}}}"#,
            "invalid_refresh_token",
            Permanent,
        ),
        // FastAPI.
        (r#"{"detail":{"error":"invalid_grant"}}"#, "invalid_grant", Permanent),
        (r#"{"detail":{"code":"x_y"}}"#, "x_y", Misconfigured),
        (r#"{"data":{"error":"invalid_grant"}}"#, "invalid_grant", Permanent),
        (r#"{"meta":{"error_type":"invalid_grant"}}"#, "invalid_grant", Permanent),
        // As it is written goes before another case.
        (r#"{"ERROR":"x_y","error":"invalid_grant"}"#, "invalid_grant", Permanent),
    ] {
        let error = read(400, body).unwrap_err();
        assert_eq!(error.error_code(), Some(code), "{body}");
        assert_eq!(error.retry_class(), class, "{body}");
    }
    // A text there is for people.
    let error = read(400, r#"{"detail":"expired"}"#).unwrap_err();
    assert_eq!((error.error_code(), error.error_description()), (None, Some("expired")));
}

#[test]
fn codes_are_found_two_levels_deep() {
    let code = |body: &str| read(400, body).unwrap_err().error_code().map(str::to_owned);
    assert_eq!(code(r#"{"error":{"error":{"code":"x_y"}}}"#).as_deref(), Some("x_y"));
    assert_eq!(code(r#"{"error":{"error":{"error":{"code":"x_y"}}}}"#), None);
    assert_eq!(code(r#"{"detail":{"detail":{"code":"x_y"}}}"#).as_deref(), Some("x_y"));
    assert_eq!(code(r#"{"detail":{"detail":{"detail":{"code":"x_y"}}}}"#), None);
}

#[test]
fn a_panic_over_a_token_in_a_success_is_one_of_a_token_that_is_issued() {
    for (status, body, is_issued) in [
        (200, r#"{"access_token":"at"}"#, true),
        (200, r#"{"data":{"accessToken":"at"}}"#, true),
        (200, r#"{"interval":5}"#, false),
        (400, r#"{"access_token":"at"}"#, false),
        (400, r#"{"error":"x_y"}"#, false),
        (200, "at", false),
    ] {
        let error = panicked(&response(status, body.as_bytes()), "the closure");
        assert_eq!(error.is_unusable_token(), is_issued, "{body}");
        assert!(error.to_string().contains("the closure panicked"), "{error}");
    }
}

#[test]
fn a_code_has_at_most_120_characters() {
    // Of four words, as a run of 37 characters may be a secret.
    let code = |length: usize| {
        let words =
            format!("{}{}", format!("{} ", "x".repeat(29)).repeat(3), "x".repeat(length - 90));
        let body = format!(r#"{{"error":"{words}"}}"#);
        read(400, body).unwrap_err().error_code().map(str::len)
    };
    // Cut off to 60 characters and an ellipsis of three bytes.
    assert_eq!(code(120), Some(63));
    assert_eq!(code(121), None);
}

#[test]
fn a_closure_that_panics_loses_no_refresh_token_that_was_issued() {
    let body = br#"{"access_token":"at","refresh_token":"new"}"#;
    for (status, kept) in [(200, Some("new")), (400, None), (503, None)] {
        let error = panicked(&response(status, body), "the closure");
        let (_, refresh_token) = error.split_refresh_token(Some("old"));
        assert_eq!(refresh_token.as_ref().map(|text| text.expose_secret()), kept, "{status}");
    }
}

#[test]
fn rules_show_whether_there_is_a_closure() {
    let rules = ResponseRules { ends_login: vec!["gone".to_owned()], ..ResponseRules::default() };
    assert_eq!(
        format!("{rules:?}"),
        r#"ResponseRules { bearer_types: [], ends_login: ["gone"], map_response: false }"#
    );
}

#[test]
fn a_redirect_names_where_it_leads() {
    let location = Some(Url::parse("https://a.example/token/").unwrap());
    let moved = HttpResponse { location, ..response(301, b"") };
    let error = read_token(&moved, &ResponseRules::default()).unwrap_err();
    assert!(error.is_malformed_response() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "the token endpoint's response (status 301 Moved Permanently) cannot be used: it redirects to https://a.example/token/, and no redirect is followed; if the endpoint has moved, configure that URL, else a proxy or a captive portal has answered instead of the provider"
    );
}

#[test]
fn headers_that_repeat_what_we_sent_are_redacted() {
    let secrets: &[&str] = &["S3cret"];
    let location = Url::parse("https://s3cret.a.example/S3cret%2F?S3cret#S3cret").unwrap();
    let content_type = Some("text/S3cret; charset=S3cret".to_owned());
    for (status, body, shown) in [
        (302, "", "it redirects to https://[redacted].a.example/[redacted]%2F, and"),
        (200, "[", "(1 bytes of unknown type)"),
        (404, "<p>", "no error code (3 bytes of unknown type)"),
    ] {
        let location = Some(location.clone());
        let content_type = content_type.clone();
        let response =
            HttpResponse { location, content_type, secrets, ..response(status, body.as_bytes()) };
        let error = read_token(&response, &ResponseRules::default()).unwrap_err();
        assert!(error.to_string().contains(shown), "{error}");
        let all = format!("{error} {error:?}").to_lowercase();
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[test]
fn descriptions_are_escaped_capped_and_redacted() {
    let body = json!({
        "error": "invalid_grant",
        "error_description": format!("no \u{1b}[31m s3cret\n{}", "x ".repeat(400)),
        "error_uri": "",
    });
    let error = read(400, body.to_string()).unwrap_err();
    let description = error.error_description().unwrap();
    assert!(description.starts_with(r"no \u{1b}[31m [redacted]\nx x "), "{description}");
    assert_eq!(error.error_uri(), None);
    assert!(error.to_string().len() < 1_000);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn what_we_sent_is_redacted_wherever_it_is_echoed() {
    for (status, body) in [
        (200, r#"{"error":"x","error_description":"it is s3cret"}"#),
        (400, r#"{"error":"s3cret"}"#),
        (400, r#"{"error":"x","error_description":"s3cret","error_uri":"s3cret"}"#),
        (400, r#"{"message":"s3cret"}"#),
        (400, r#"{"errors":[{"message":"s3cret"}]}"#),
    ] {
        let error = read(status, body).unwrap_err();
        assert!(format!("{error} {error:?}").contains("[redacted]"), "{body}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{body}: {error}");
    }
}

#[test]
fn of_an_error_in_a_success_only_words_are_shown() {
    let error = read(
        200,
        r#"{"error":"bad_refresh_token","error_description":"The token xoxe-1-Nw is expired."}"#,
    )
    .unwrap_err();
    assert_eq!(error.error_code(), Some("bad_refresh_token"));
    assert_eq!(error.error_description(), Some("The token [redacted] is expired."));
    let error = read(200, r#"{"error":"xoxe-1-Nw"}"#).unwrap_err();
    assert_eq!(error.error_code(), Some("[redacted]"));
}

#[test]
fn unusable_answers() {
    for (status, body, reason) in [
        (
            200,
            "<html><form action='?a=b&access_token=zz'>",
            "it is neither JSON nor a form (42 bytes of unknown type); a proxy, a firewall or a captive portal may have answered instead of the provider, or the endpoint's URL is wrong",
        ),
        (200, "", "it is empty"),
        (200, " \r\n", "it is empty"),
        (200, "\0", "it is empty"),
        (200, "\u{feff}\0 \n", "it is empty"),
        (204, "", "it is empty"),
        (
            200,
            "null",
            "it is neither JSON nor a form (4 bytes of unknown type); check the endpoint's URL",
        ),
        (200, "[]", "it is not a JSON object, or not a whole one (2 bytes of unknown type)"),
        (200, "\"at\"", "it is not a JSON object, or not a whole one (4 bytes of unknown type)"),
        (
            200,
            "a=b&c=s3cret",
            "it is neither JSON nor a form (12 bytes of unknown type); check the endpoint's URL",
        ),
        (
            200,
            r#"{"access_token":"at""#,
            "it is not a JSON object, or not a whole one (20 bytes of unknown type)",
        ),
        (200, "{}", "access_token is missing"),
        (
            200,
            r#"{"ok":true,"authed_user":{"access_token":"xoxp"}}"#,
            "access_token is missing; among its members: authed_user (OAuthClient::map_response maps what a provider nests or names otherwise)",
        ),
        (
            200,
            r#"{"data":{"access_token":"at"}}"#,
            "access_token is missing; among its members: data (OAuthClient::map_response maps what a provider nests or names otherwise)",
        ),
        (
            200,
            r#"{"accessToken":"at","expiresIn":5}"#,
            "access_token is missing; among its members: accessToken (OAuthClient::map_response maps what a provider nests or names otherwise)",
        ),
        (
            200,
            r#"{"errors":[{"errorType":"x"}]}"#,
            "access_token is missing; among its members: errors (OAuthClient::map_response maps what a provider nests or names otherwise)",
        ),
        (200, r#"{"access_token":""}"#, "access_token is empty or not a string"),
        (200, r#"{"access_token":null}"#, "access_token is empty or not a string"),
        (200, r#"{"access_token":123}"#, "access_token is empty or not a string"),
        (
            200,
            r#"{"access_token":"a\r\nX: y"}"#,
            "access_token has characters that are not allowed in a header",
        ),
        (
            200,
            r#"{"access_token":"a\u0000"}"#,
            "access_token has characters that are not allowed in a header",
        ),
        (
            200,
            r#"{"access_token":"é"}"#,
            "access_token has characters that are not allowed in a header",
        ),
        (101, r#"{"access_token":"at"}"#, "its status is not that of a complete response"),
        (302, "", "no redirect is followed; configure the endpoint's final URL"),
        (
            307,
            r#"{"access_token":"at"}"#,
            "no redirect is followed; configure the endpoint's final URL",
        ),
    ] {
        let error = read(status, body).unwrap_err();
        assert!(error.is_malformed_response(), "{status} {body}: {error}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        let prefix = format!(
            "the token endpoint's response (status {}) cannot be used: ",
            StatusCode::from_u16(status).unwrap()
        );
        assert_eq!(error.to_string(), prefix + reason, "{status} {body}");
        assert!(error.is_transient());
    }
}

#[test]
fn no_member_costs_another_one() {
    let body = r#"{"access_token":"at","refresh_token":"rt","name":"Bob \ud83d","\ud83d":1,"n":[1e400],"x":NaN}"#;
    let rest = json!({"name": "Bob \u{fffd}", "\u{fffd}": 1, "n": ["1e400"], "x": "NaN"});
    let token = read(200, body).unwrap();
    assert_eq!((token.access_token(), token.refresh_token()), ("at", Some("rt")));
    assert_eq!(json!(token.extra()), rest);
    // The answers of all other endpoints.
    let members = read_members(&response(200, body.as_bytes()), &ResponseRules::default()).unwrap();
    assert_eq!(members["name"], rest["name"]);
    assert_eq!(members["refresh_token"], "rt");
    // A damaged token is none.
    for name in ["access_token", "refresh_token"] {
        let body = body.replace(&format!(r#""{name}":""#), &format!(r#""{name}":"\ud83d"#));
        assert!(read(200, body).unwrap_err().is_malformed_response(), "{name}");
    }
}

#[test]
fn a_hook_maps_what_the_provider_nests_or_names_otherwise() {
    let rules = ResponseRules {
        map_response: Some(std::sync::Arc::new(|mut members| {
            match members.remove("authed_user") {
                Some(serde_json::Value::Object(user)) => user,
                _ => members,
            }
        })),
        ..ResponseRules::default()
    };
    let token = read_as(
        200,
        br#"{"ok":true,"authed_user":{"access_token":"xoxp","expires_in":60}}"#,
        &rules,
    )
    .unwrap();
    assert_eq!(token.access_token(), "xoxp");
    assert_eq!(token.expires_at().unwrap().timestamp(), SENT + 60);
}

#[test]
fn a_hook_finds_the_error_code_where_the_provider_hides_it() {
    let rules = ResponseRules {
        map_response: Some(std::sync::Arc::new(|mut members| {
            let code = members.get("errors").and_then(|errors| errors[0]["errorType"].as_str());
            if let Some(code) = code.map(str::to_owned) {
                members.insert("error".to_owned(), code.into());
            }
            members
        })),
        ..ResponseRules::default()
    };
    let body = br#"{"errors":[{"errorType":"invalid_grant","message":"m"}],"success":false}"#;
    assert_eq!(read_as(400, body, &rules).unwrap_err().error_code(), Some("invalid_grant"));
}
