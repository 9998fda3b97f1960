//! Answers with status 2xx that hold a new token and cannot be read: every kind of document, in every
//! encoding.

use reqwest_oauth2::Session;
use reqwest_oauth2::testing::Fault;

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::{World, pass};

/// Documents with the two tokens in them, of which none is a token response.
fn documents(access: &str, refresh: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "application/xml",
            format!(
                "<token><access_token>{access}</access_token><refresh_token>{refresh}</refresh_token></token>"
            ),
        ),
        ("text/html", format!("<html><body>Your token is {access}, then {refresh}</body></html>")),
        ("application/yaml", format!("access_token: {access}\nrefresh_token: {refresh}\n")),
        (
            "application/yaml",
            format!("---\ntoken:\n  access_token: \"{access}\"\n  refresh_token: {refresh}\n"),
        ),
        (
            "application/javascript",
            format!(r#"callback({{"access_token":"{access}","refresh_token":"{refresh}"}});"#),
        ),
        (
            "application/json",
            format!(")]}}',\n{{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\"}}"),
        ),
        (
            "application/json",
            format!(
                "<br />\n<b>Notice</b>: Undefined index in t.php?error=1\n{{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\"}}"
            ),
        ),
        (
            "text/plain",
            format!(
                "Notice: t.php?a=b&error={{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\"}}"
            ),
        ),
        ("text/plain", access.to_owned()),
        ("text/plain", format!("{access} {refresh}")),
        ("text/plain", format!("Bearer {access}")),
        ("text/csv", format!("access_token,refresh_token\n{access},{refresh}\n")),
        ("application/json", format!(r#""{access}""#)),
        ("application/json", format!(r#"["{access}","{refresh}"]"#)),
        ("application/json", format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}""#)),
        (
            "application/json",
            format!(r#"{{'access_token':'{access}','refresh_token':'{refresh}'}}"#),
        ),
        (
            "application/json",
            format!(r#"{{"data":{{"access_token":"{access}","refresh_token":"{refresh}"}}}}"#),
        ),
        ("application/json", format!(r#"{{"accessToken":"{access}","refreshToken":"{refresh}"}}"#)),
        ("application/json", format!(r#"{{"{access}":"{refresh}"}}"#)),
        ("application/json", format!(r#"{{"access_token":["{access}"],"refresh":"{refresh}"}}"#)),
        ("application/json", format!(r#"{{"access_token":"{access}","token_type":"{refresh}"}}"#)),
        ("application/json", format!(r#"{{"error":{{"token":"{access}"}},"token":"{refresh}"}}"#)),
        (
            "application/json",
            format!(
                r#"{{"error":"{access}","error_description":"take {refresh}","error_uri":"https://a.example/{refresh}"}}"#
            ),
        ),
        (
            "application/json",
            format!(r#"{{"error":{{"code":"{access}","message":"take {refresh}"}}}}"#),
        ),
        ("application/x-www-form-urlencoded", format!("token={access}&refresh={refresh}")),
        (
            "application/x-www-form-urlencoded",
            format!("error={access}&error_description=take+{refresh}"),
        ),
    ]
}

/// The ways to write a document down; `Fault::Reply` takes text, so each is one that text can hold.
fn encodings(document: &str) -> Vec<String> {
    let wide = |order: fn(char) -> [char; 2]| document.chars().flat_map(order).collect::<String>();
    vec![
        document.to_owned(),
        format!("\u{feff}\u{feff}x{document}"),
        // UTF-16, with the byte of zeros after and before.
        wide(|c| [c, '\0']),
        wide(|c| ['\0', c]),
        document.replace('\n', "\r\n") + "\r\n\0",
    ]
}

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let mut answers = 0;
    for n in 0..documents("", "").len() {
        for m in 0..encodings("").len() {
            // As short as tokens are, and unlike each other.
            let access = secrets.plant("new access token", format!("nA{n:02}x{m}.Zq7-T0k3n"));
            let refresh = secrets.plant("new refresh token", format!("rF{n:02}x{m}.Vw5-T0k3n"));
            let (media_type, document) = documents(&access, &refresh).swap_remove(n);
            let body = encodings(&document).swap_remove(m);
            let status = [200, 201, 203][m % 3];
            let content_type = media_type.to_owned();
            answer(log, secrets, Fault::Reply { status, content_type, body }).await;
            answers += 1;
        }
    }
    assert!(answers >= 100, "{answers}");
}

/// One renewal that gets this answer, and all that is shown and logged of it.
async fn answer(log: &Log, secrets: &mut Secrets, fault: Fault) {
    let world = World::new().await;
    let token = world.expired_token();
    secrets.plant_token(&token);
    let app = world.app();
    let session = Session::builder(app.clone())
        .clock(world.clock.reader())
        .token(token.clone())
        .on_new_token(|_| async { Ok::<(), std::io::Error>(()) })
        .build();
    let shown = format!("{fault:?}");
    world.provider.fail_always(fault);
    let error = session.token().await.unwrap_err();
    assert!(!error.is_reauthorization_required(), "{shown}: {error}");
    log.show_error(&error);
    log.show(&error.error_code());
    log.show(&error.error_description());
    log.show(&error.error_uri());
    log.show(&session);
    log.show_error(&app.token_request("client_credentials").send().await.unwrap_err());
    pass(1).await;
}
