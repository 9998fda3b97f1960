//! `Secrets`: what must not be found, whole, encoded, or in part.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest_oauth2::Token;

/// Of a long secret, any part of this length is one too.
const PART: usize = 12;

#[derive(Default)]
pub struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// Remembers it, and gives it back.
    pub fn plant(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() > 3, "{what} is too short to be looked for");
        self.0.push((what, secret.clone()));
        secret
    }

    pub fn plant_token(&mut self, token: &Token) {
        self.plant("access token", token.access_token());
        if let Some(refresh_token) = token.refresh_token() {
            self.plant("refresh token", refresh_token);
        }
    }

    /// The first of them that is in the text, and around where.
    pub fn first_in(&self, text: &str) -> Option<String> {
        let mut parts: HashMap<&[u8], &str> = HashMap::new();
        let forms: Vec<_> = self.0.iter().map(|(what, secret)| (*what, forms(secret))).collect();
        for (what, forms) in &forms {
            for form in forms.iter().map(String::as_bytes) {
                let whole = std::str::from_utf8(form).unwrap();
                if form.len() >= PART {
                    parts.extend(form.windows(PART).map(|part| (part, *what)));
                } else if let Some(at) = text.find(whole) {
                    return Some(found(what, text, at));
                }
            }
        }
        let places = text.as_bytes().windows(PART).enumerate();
        let hit = places.into_iter().find_map(|(at, part)| Some((at, parts.get(part)?)));
        hit.map(|(at, what)| found(what, text, at))
    }
}

fn found(what: &str, text: &str, at: usize) -> String {
    let before = String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(200)..at]);
    format!("the {what} was shown, after: …{before}")
}

/// As it is, in a URL, in HTTP Basic, as bytes.
fn forms(secret: &str) -> Vec<String> {
    let basic = format!("foo:{secret}");
    let bytes = format!("{:?}", secret.as_bytes());
    let mut forms = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        format!("{secret:?}").trim_matches('"').to_owned(),
        bytes.trim_matches(['[', ']']).to_owned(),
    ];
    // The last characters depend on what follows.
    let encoded = |engine: &dyn Fn(&str) -> String, text| engine(text);
    for text in [secret, &basic] {
        let mut whole = encoded(&|text| STANDARD_NO_PAD.encode(text), text);
        whole.pop();
        forms.push(whole);
        let mut whole = encoded(&|text| URL_SAFE_NO_PAD.encode(text), text);
        whole.pop();
        forms.push(whole);
    }
    forms.dedup();
    forms
}
