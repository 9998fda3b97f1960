//! `Message`: an answer over HTTP as the corpus writes it: the status, headers a line each, an empty
//! line, the body. What has no empty line is the body of a 200.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub struct Message {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Message {
    pub fn read(input: &[u8]) -> Self {
        let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
            Some(end) => (&input[..end], &input[end + 2..]),
            None => (&b"200"[..], input),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.trim().parse().ok());
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((
                HeaderName::from_bytes(name.trim().as_bytes()).ok()?,
                HeaderValue::from_str(value.trim()).ok()?,
            ))
        });
        Self {
            status: status.unwrap_or(StatusCode::OK),
            headers: headers.collect(),
            body: body.to_vec(),
        }
    }

    /// Whether this stands in a header: that is no place for a secret, and `Content-Type` is shown.
    pub fn has_in_header(&self, text: &str) -> bool {
        let has = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(text);
        self.headers.values().any(has)
    }
}
