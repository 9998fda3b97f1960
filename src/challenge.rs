//! What a resource server asks for in a 401 or 403
//! ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3),
//! [RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).
//!
//! Servers say "this token has expired" in many ways: `expired_token` (OneDrive), `token_expired`,
//! `Invalid_Token`, an empty code, single quotes. So every code asks for a new token, except the few that
//! are known to mean something else. A useless renewal costs one token request now and then; a missing one
//! costs the caller its request.
//!
//! The reader takes fields that break the grammar: single quotes, a comma left out, text that is not ASCII.
//! It never fails. It does not read what follows an unclosed double quote.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longer fields are ignored: no server says anything useful in more.
const LONGEST_FIELD: usize = 8 * 1024;

/// More challenges are not read.
const MOST: usize = 32;

/// The error codes that no new token of the same kind cures: insufficient scope, a malformed request
/// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), a log-in that is too old or too
/// weak ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)), a proof that is not accepted or
/// without the server's nonce ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1),
/// [§9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
const NOT_THE_TOKEN: [&str; 5] = [
    "insufficient_scope",
    "insufficient_user_authentication",
    "invalid_dpop_proof",
    "invalid_request",
    "use_dpop_nonce",
];

/// What a resource server asks for: one challenge of a `WWW-Authenticate` field
/// ([RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).
///
/// Anybody who can answer a request can write it, so do not trust an address or a scope in it.
///
/// ```
/// use reqwest_oauth2::Challenge;
/// use reqwest_oauth2::http::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// let field = r#"Bearer error="insufficient_scope", scope="files.read files.write""#;
/// headers.insert("www-authenticate", field.parse()?);
/// let challenges = Challenge::all(&headers);
/// assert_eq!(challenges[0].scheme(), "Bearer");
/// assert_eq!(challenges[0].error(), Some("insufficient_scope"));
/// assert_eq!(challenges[0].scope(), Some("files.read files.write"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
}

impl Challenge {
    /// The challenges of a response, in their order. Fields of more than 8 KiB are ignored, and at
    /// most 32 challenges are read.
    ///
    /// Fields that break the grammar are read as far as possible: this never fails.
    pub fn all(headers: &HeaderMap) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        for field in fields(headers) {
            let begin = challenges.len();
            for part in parts(field) {
                match part {
                    Part::Scheme(_) if challenges.len() == MOST => return challenges,
                    Part::Scheme(scheme) => challenges.push(Self::of(scheme)),
                    // Parameters before any scheme.
                    Part::Parameter(..) if challenges.len() == begin => {}
                    Part::Parameter(name, value) => {
                        if let Some(challenge) = challenges.last_mut() {
                            challenge.params.push((text(name), value.text()));
                        }
                    }
                }
            }
        }
        challenges
    }

    fn of(scheme: &[u8]) -> Self {
        Self { scheme: text(scheme), params: Vec::new() }
    }

    /// The scheme as the server wrote it: `Bearer`, `DPoP`, `Basic`. Compare it without case
    /// ([RFC 9110 §11.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.1)).
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// A parameter by its name, in any letter case, without quotes. `None` if it is missing, or is there
    /// twice with different values
    /// ([RFC 9110 §11.2](https://www.rfc-editor.org/rfc/rfc9110#section-11.2)).
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut values =
            self.params.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let value = values.next()?;
        values.all(|other| other == value).then_some(value)
    }

    /// `error`: why the request was not served, such as `invalid_token` or `insufficient_scope`
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    pub fn error(&self) -> Option<&str> {
        self.param("error")
    }

    /// Whether that is why.
    pub(crate) fn has_error(&self, code: &str) -> bool {
        self.error().is_some_and(|error| error.eq_ignore_ascii_case(code))
    }

    /// `scope`: the scope that the request needs, as names separated by spaces
    /// ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
    pub fn scope(&self) -> Option<&str> {
        self.param("scope")
    }

    /// `resource_metadata`: the URL of the resource's metadata
    /// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
    pub fn resource_metadata(&self) -> Option<&str> {
        self.param("resource_metadata")
    }

    /// `acr_values`: the kinds of login that are strong enough, as names separated by spaces
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    pub fn acr_values(&self) -> Option<&str> {
        self.param("acr_values")
    }

    /// `max_age`: the longest time since the person logged in
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)). `None` if it is not a number of
    /// seconds.
    pub fn max_age(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.param("max_age")?.parse().ok()?))
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.params.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Challenge").field("scheme", &self.scheme).field("params", &names).finish()
    }
}

/// Whether a new token may help after a 401 with these headers. It may, unless there are error codes and
/// each of them is known to mean something else.
pub(crate) fn may_new_token_help(headers: &HeaderMap) -> bool {
    let mut codes = fields(headers).flat_map(error_codes);
    codes.next().is_none_or(|code| is_about_the_token(code) || codes.any(is_about_the_token))
}

/// Whether the server says that it did not accept the proof of the token's key.
#[cfg(feature = "keys")]
pub(crate) fn rejects_proof(headers: &HeaderMap) -> bool {
    fields(headers).flat_map(error_codes).any(|code| {
        code.eq_ignore_ascii_case(b"use_dpop_nonce")
            || code.eq_ignore_ascii_case(b"invalid_dpop_proof")
    })
}

fn is_about_the_token(code: &[u8]) -> bool {
    !NOT_THE_TOKEN.iter().any(|other| code.eq_ignore_ascii_case(other.as_bytes()))
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().map(|field| field.as_bytes());
    fields.filter(|field| field.len() <= LONGEST_FIELD)
}

/// The values of the parameters named `error`, whatever the scheme.
fn error_codes(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(field).filter_map(|part| match part {
        Part::Parameter(name, value) if name.eq_ignore_ascii_case(b"error") => Some(value.inner),
        _ => None,
    })
}

/// What a field consists of.
enum Part<'a> {
    Scheme(&'a [u8]),
    Parameter(&'a [u8], ParameterValue<'a>),
}

/// The value of a parameter, without its quotes.
struct ParameterValue<'a> {
    inner: &'a [u8],
    /// In double quotes, where a backslash escapes.
    quoted: bool,
}

impl ParameterValue<'_> {
    fn text(&self) -> String {
        if !self.quoted {
            return text(self.inner);
        }
        let mut escaped = false;
        let kept = self.inner.iter().copied().filter(|b| {
            escaped = *b == b'\\' && !escaped;
            !escaped
        });
        text(&kept.collect::<Vec<u8>>())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parts(mut field: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut begins = true;
    std::iter::from_fn(move || next_part(&mut field, &mut begins))
}

/// The next scheme or `name = value`. A word without a value is a scheme where a challenge may begin: at
/// the field's begin, or after a comma. Elsewhere it is passed over: credentials. `begins`: whether a
/// challenge may begin here.
fn next_part<'a>(rest: &mut &'a [u8], begins: &mut bool) -> Option<Part<'a>> {
    loop {
        let text = skip(rest, |b| b.is_ascii_whitespace() || b == b',');
        *begins |= rest[..rest.len() - text.len()].contains(&b',');
        // Of text that is not empty at least a byte is taken, so this ends.
        let length = word(text).max(usize::from(!text.is_empty()));
        let (name, after) = text.split_at(length);
        *rest = skip(after, |b| b.is_ascii_whitespace());
        if name.is_empty() {
            return None;
        }
        let may_be_scheme = std::mem::take(begins);
        if let Some(after) = rest.strip_prefix(b"=") {
            let (value, after) = value(skip(after, |b| b.is_ascii_whitespace()))?;
            *rest = after;
            // What is left of `YWJj==`.
            if value.quoted || !value.inner.starts_with(b"=") {
                return Some(Part::Parameter(name, value));
            }
        } else if may_be_scheme && name.iter().all(|b| b.is_ascii_graphic()) {
            return Some(Part::Scheme(name));
        }
    }
}

/// How long the word is that the text begins with.
fn word(text: &[u8]) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || b",=\"".contains(b);
    text.iter().position(ends).unwrap_or(text.len())
}

/// The value that the text begins with, and what follows it. `None` for a double quote that is not closed:
/// nobody knows what was cut off.
fn value(text: &[u8]) -> Option<(ParameterValue<'_>, &[u8])> {
    let quoted = match text {
        [b'"', inner @ ..] => Some((inner, closing_quote(inner)?)),
        [b'\'', inner @ ..] => closing_apostrophe(inner).map(|end| (inner, end)),
        _ => None,
    };
    let (value, after) = match quoted {
        Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
        None => {
            let ends = |b: &u8| b.is_ascii_whitespace() || *b == b',';
            text.split_at(text.iter().position(ends).unwrap_or(text.len()))
        }
    };
    Some((ParameterValue { inner: value.trim_ascii(), quoted: text.starts_with(b"\"") }, after))
}

/// Where the quoted string ends; a backslash escapes.
fn closing_quote(inner: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inner.iter().position(|b| {
        let closes = *b == b'"' && !escaped;
        escaped = *b == b'\\' && !escaped;
        closes
    })
}

/// Where text in single quotes ends. One within a word is an apostrophe.
fn closing_apostrophe(inner: &[u8]) -> Option<usize> {
    let is_end = |at: &usize| {
        let next = inner.get(at + 1);
        next.is_none_or(|b| b.is_ascii_whitespace() || *b == b',')
    };
    (0..inner.len()).filter(|at| inner[*at] == b'\'').find(is_end)
}

fn skip(text: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let begin = text.iter().position(|b| !skipped(*b)).unwrap_or(text.len());
    &text[begin..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap());
        }
        headers
    }

    fn of(fields: &[&str]) -> bool {
        may_new_token_help(&headers(fields))
    }

    #[test]
    fn a_new_token_may_help() {
        for fields in [
            &[][..],
            &[r#"Bearer realm="example""#],
            &[
                r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
            ],
            &[r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#],
            &[r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#],
            &[r#"Bearer, DPoP algs="ES256 PS256""#],
            &[r#"Bearer error="invalid_token", DPoP algs="ES256""#],
            &[r#"DPoP error="insufficient_scope", Bearer error="invalid_token""#],
            &[r#"DPoP error="insufficient_scope""#, r#"Bearer error="invalid_token""#],
            &[r#"Negotiate YWJj==, Bearer scope="a b""#],
            &[r#"Basic realm="x""#, r#"bEaReR SCOPE=a , ,error = "invalid_token""#],
            &[r#",, Bearer realm="a, Basic realm=\"b\"",,"#],
            // Codes that nobody has registered.
            &[r#"Bearer error="expired_token""#],
            &[r#"Bearer error="token_expired""#],
            &[r#"Bearer error="Invalid_Token""#],
            &[r#"Bearer error="INVALID_TOKEN""#],
            &[r#"Bearer error="""#],
            &["Bearer error="],
            &["Bearer error=''"],
            &["Bearer error='invalid_token'"],
            &["Bearer error='invalid_token', error_description='The access token expired'"],
            &[r#"Bearer error="what nobody knows""#],
            &["Bearer error=\"\u{e9}\""],
            &[r#"Bearer realm="a" error="b""#],
            // The words stand elsewhere.
            &[r#"Bearer realm="error=insufficient_scope""#],
            &["Bearer realm='an error=insufficient_scope'"],
            &[r#"Bearer realm="\" error=insufficient_scope", error="invalid_token""#],
            &[r#"Bearer error_description="insufficient_scope""#],
            &["insufficient_scope"],
            &["Bearer insufficient_scope"],
            // Cut off: nothing is known, so a new token may help.
            &[r#"Bearer error="insufficient_scope"#],
            &["Bearer \u{e9}"],
            &["\"\\"],
            &["'"],
            &["="],
            &["=,=\"=\"'"],
            &[","],
            &[""],
        ] {
            assert!(of(fields), "{fields:?}");
        }
    }

    #[test]
    fn no_new_token_helps() {
        for fields in [
            &[r#"Bearer error="insufficient_scope", scope="a b""#][..],
            &["Bearer error=insufficient_scope"],
            &["Bearer error='insufficient_scope'"],
            &["Bearer error='insufficient_scope', error_description='The user's token lacks it'"],
            &[r#"Bearer error="Insufficient_Scope""#],
            &[r#"Bearer error=" insufficient_scope ""#],
            &[r#"Bearer realm="a" error="insufficient_scope""#],
            &[r#"Bearer error="insufficient_user_authentication", max_age=5, acr_values="myACR""#],
            &[r#"Bearer error="invalid_request""#],
            &[r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce""#],
            &[r#"Bearer, DPoP error="use_dpop_nonce""#],
            &[r#"DPoP error="invalid_dpop_proof", algs="ES256""#],
            &[r#"Negotiate YWJj==, Bearer error="insufficient_scope""#],
            &["Bearer realm=\"Zo\u{eb}\", error=\"insufficient_scope\""],
            &[r#"Basic realm="a,b""#, r#"bearer ERROR = insufficient_scope ,,"#],
            &[r#"Bearer error="insufficient_scope""#, r#"DPoP error="insufficient_scope""#],
        ] {
            assert!(!of(fields), "{fields:?}");
        }
    }

    #[cfg(feature = "keys")]
    #[test]
    fn a_proof_is_rejected_by_two_codes() {
        for (field, is_rejected) in [
            (
                r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce""#,
                true,
            ),
            (r#"Bearer, DPoP algs="ES256", error=invalid_dpop_proof"#, true),
            (r#"DPoP error="invalid_token""#, false),
            (r#"DPoP realm="use_dpop_nonce""#, false),
            ("", false),
        ] {
            let field = HeaderValue::from_static(field);
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, field)]);
            assert_eq!(rejects_proof(&headers), is_rejected, "{headers:?}");
        }
    }

    /// Each challenge as its scheme and parameters.
    fn read(fields: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        let challenges = Challenge::all(&headers(fields)).into_iter();
        challenges.map(|challenge| (challenge.scheme, challenge.params)).collect()
    }

    fn expected(challenges: &[(&str, &[(&str, &str)])]) -> Vec<(String, Vec<(String, String)>)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let read = |(scheme, params): &(&str, &[_])| {
            (str::to_owned(scheme), params.iter().map(owned).collect())
        };
        challenges.iter().map(read).collect()
    }

    #[test]
    fn g1_to_g6_are_read() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a [(&'a str, &'a str)])]);
        let newauth =
            ("Newauth", &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")][..]);
        let simple = ("Basic", &[("realm", "simple")][..]);
        let cases: &[Case<'_>] = &[
            // G1
            (&[r#"Bearer realm="example""#], &[("Bearer", &[("realm", "example")])]),
            (
                &[
                    r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
                ],
                &[(
                    "Bearer",
                    &[
                        ("realm", "example"),
                        ("error", "invalid_token"),
                        ("error_description", "The access token expired"),
                    ],
                )],
            ),
            // G2
            (
                &[
                    r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
                ],
                &[simple, newauth],
            ),
            (
                &[
                    r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
                ],
                &[newauth, simple],
            ),
            // G3
            (
                &[r#"Bearer, DPoP algs="ES256 PS256""#],
                &[("Bearer", &[]), ("DPoP", &[("algs", "ES256 PS256")])],
            ),
            (
                &[r#"Bearer error="invalid_token", DPoP algs="ES256""#],
                &[("Bearer", &[("error", "invalid_token")]), ("DPoP", &[("algs", "ES256")])],
            ),
            // G4
            (
                &[r#"Negotiate YWJj==, Bearer scope="a b""#],
                &[("Negotiate", &[]), ("Bearer", &[("scope", "a b")])],
            ),
            (&["Negotiate YWJj, Bearer"], &[("Negotiate", &[]), ("Bearer", &[])]),
            // G5
            (
                &[r#"Basic realm="x""#, r#"bEaReR SCOPE=a , ,error = "invalid_token""#],
                &[
                    ("Basic", &[("realm", "x")]),
                    ("bEaReR", &[("SCOPE", "a"), ("error", "invalid_token")]),
                ],
            ),
            (
                &[r#",, Bearer realm="a, Basic realm=\"b\"",,"#],
                &[("Bearer", &[("realm", "a, Basic realm=\"b\"")])],
            ),
            // G6
            (
                &[
                    r#"Bearer error="insufficient_user_authentication", max_age=5, acr_values="myACR""#,
                ],
                &[(
                    "Bearer",
                    &[
                        ("error", "insufficient_user_authentication"),
                        ("max_age", "5"),
                        ("acr_values", "myACR"),
                    ],
                )],
            ),
        ];
        for (fields, challenges) in cases {
            assert_eq!(read(fields), expected(challenges), "{fields:?}");
        }
    }

    #[test]
    fn g6_max_age_as_token_and_quoted() {
        for (field, max_age) in [
            ("Bearer max_age=5", Some(5)),
            (r#"Bearer max_age="5""#, Some(5)),
            ("Bearer max_age=-5", None),
            ("Bearer max_age=5.5", None),
            ("Bearer max_age=", None),
            ("Bearer max_age=99999999999999999999", None),
            ("Bearer", None),
        ] {
            let challenge = &Challenge::all(&headers(&[field]))[0];
            assert_eq!(challenge.max_age(), max_age.map(Duration::from_secs), "{field}");
        }
    }

    #[test]
    fn g7_what_breaks_the_grammar_is_read_as_far_as_it_can_be() {
        let first = |field: &str| Challenge::all(&headers(&[field])).swap_remove(0);
        // Given twice, nobody knows which is meant.
        assert_eq!(first(r#"Bearer scope="a", scope="b""#).scope(), None);
        assert_eq!(first(r#"Bearer scope="a", scope=a"#).scope(), Some("a"));
        // A quote that is not closed.
        let open = first(r#"Bearer error="insufficient_scope", scope="a b"#);
        assert_eq!((open.error(), open.scope()), (Some("insufficient_scope"), None));
        // A comma left out.
        let both = first(r#"Bearer realm="a" error="b""#);
        assert_eq!((both.param("realm"), both.param("ERROR")), (Some("a"), Some("b")));
        // A field that begins without a scheme adds nothing to the field before.
        let two = Challenge::all(&headers(&["Basic", "error=invalid_token, Bearer"]));
        assert_eq!(two.iter().map(Challenge::scheme).collect::<Vec<_>>(), ["Basic", "Bearer"]);
        assert_eq!(two[0].error(), None);
        // Text between a closing quote and the next comma.
        let after_quote = first(r#"Bearer realm="a"=b, scope=c"#);
        assert_eq!(after_quote.params.len(), 2, "{after_quote:?}");
        for nothing in ["", ",", "=", "\"\\", "\u{e9}", "error=insufficient_scope", "'"] {
            let challenges = Challenge::all(&headers(&[nothing]));
            assert!(
                challenges.iter().all(|one| one.params.is_empty()),
                "{nothing}: {challenges:?}"
            );
        }
    }

    #[test]
    fn a_challenge_has_the_members_that_resources_name() {
        // RFC 9728 §5.1.
        let challenge = &Challenge::all(&headers(&[
            r#"Bearer resource_metadata="https://resource.example.com/.well-known/oauth-protected-resource", acr_values="a b""#,
        ]))[0];
        assert_eq!(
            challenge.resource_metadata(),
            Some("https://resource.example.com/.well-known/oauth-protected-resource")
        );
        assert_eq!(challenge.acr_values(), Some("a b"));
        assert_eq!(
            format!("{challenge:?}"),
            r#"Challenge { scheme: "Bearer", params: ["resource_metadata", "acr_values"] }"#
        );
    }

    #[test]
    fn what_is_read_is_bounded() {
        let many = vec!["Bearer"; 1000].join(", ");
        assert_eq!(Challenge::all(&headers(&[&many])).len(), MOST);
        let long = format!("Bearer scope={}", "a".repeat(1_000_000));
        assert_eq!(Challenge::all(&headers(&[&long, "Basic"])).len(), 1);
    }

    #[test]
    fn oversized_fields_are_passed_over() {
        let long =
            format!("Bearer realm=\"{}\", error=insufficient_scope", "a".repeat(LONGEST_FIELD));
        assert!(of(&[&long]));
    }

    #[test]
    fn any_bytes_are_read_to_their_end() {
        let bytes = b"e=\"', \\\xe9r";
        for n in 0..bytes.len().pow(5) {
            let field: Vec<u8> =
                (0..5).map(|i| bytes[n / bytes.len().pow(i) % bytes.len()]).collect();
            assert!(error_codes(&field).count() <= 5);
        }
    }
}
