use http::{Response, StatusCode};

use super::{ResponseBody, response};

/// The log-in page; its form goes to the same URL.
pub(crate) fn log_in(
    query: &str,
    client: &str,
    scope: &str,
    message: &str,
) -> Response<ResponseBody> {
    let (query, client, scope) = (escape(query), escape(client), escape(scope));
    html(
        StatusCode::OK,
        &format!(
            r#"<title>Log in</title>
<p>{client} asks for: {scope}</p>
<p role="alert">{message}</p>
<form method="post" action="/authorize?{query}">
<label>Name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
"#
        ),
    )
}

/// Tells the user, where the client must not be told (RFC 6749 §4.1.2.1).
pub(crate) fn error(message: &str) -> Response<ResponseBody> {
    let body = format!("<title>Error</title>\n<p role=\"alert\">{message}</p>\n");
    html(StatusCode::BAD_REQUEST, &body)
}

fn html(status: StatusCode, body: &str) -> Response<ResponseBody> {
    let page = format!("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n{body}");
    let page = ResponseBody::Whole(page.into());
    let mut response = response::with_body(status, "text/html; charset=utf-8", page);
    response::not_stored(&mut response);
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape(r#"<a b="c">&"#), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
