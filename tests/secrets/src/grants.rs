//! Each grant, each way to authenticate, and an application's own source of tokens.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    BasicEncoding, ClientAuthentication, ClientCredentials, Error, Grant, GrantContext, JwtBearer,
    OAuthClient, ProviderRequest, RequestKind, RequestKinds, Session, Token, TokenExchange,
    TypedToken,
};

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::World;

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let world = World::with(|p| p.accept_assertions(|assertion| assertion.len() < 40)).await;
    log.show(&BasicEncoding::default());
    for authentication in [
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
        ClientAuthentication::Detect,
        ClientAuthentication::None,
    ] {
        log.show(&authentication);
        let app = world.app().authentication(authentication);
        let grant = ClientCredentials::new().scope("read");
        log.show(&grant);
        let session = Session::builder(app).grant(grant).clock(world.clock.reader()).build();
        outcome(log, secrets, &session).await;
    }
    let wrong = secrets.plant("client secret", "a wr0ng secret");
    let app = world.app().secret(&wrong);
    let session = Session::builder(app).grant(ClientCredentials::new()).build();
    outcome(log, secrets, &session).await;

    let assertion = secrets.plant("assertion", "eyJhbGciOi.signed");
    let refused = secrets.plant("assertion", "eyJhbGciOi.refused-for-it-is-longer-than-forty");
    for assertion in [&assertion, &refused] {
        let (assertion, subject) = (assertion.clone(), assertion.clone());
        let bearer = JwtBearer::new(move || {
            let assertion = assertion.clone();
            async { Ok::<_, Error>(assertion) }
        });
        log.show(&bearer);
        outcome(log, secrets, &world.session().grant(bearer).build()).await;
        log.show(&TypedToken::jwt(&*subject));
        let exchange = TokenExchange::new(move || {
            let subject = subject.clone();
            async { Ok::<_, Error>(TypedToken::jwt(subject)) }
        });
        log.show(&exchange);
        outcome(log, secrets, &world.session().grant(exchange).build()).await;
    }
    let previous = secrets.plant("access token", "the one before ours");
    let previous = Token::new(previous).unwrap().with_expires_at(world.clock.now().into());
    let session = world.session().token(previous).grant(Own(log.clone())).build();
    outcome(log, secrets, &session).await;
    secrets.plant("access token", "a token of our own");
    shaped(log, secrets, &world).await;
    from_oauth2(log, secrets);
}

/// What shaped requests carry, and a response that repeats it.
async fn shaped(log: &Log, secrets: &mut Secrets, world: &World) {
    let param = secrets.plant("shaped parameter", "sh4ped-parameter");
    let header = secrets.plant("shaped header", "sh4ped-header");
    let computed = secrets.plant("computed parameter", "c0mputed-parameter");
    let (shown, given) = (log.clone(), computed.clone());
    let app = world
        .app()
        .request_param(RequestKinds::ALL, "fingerprint", &param)
        .request_header(RequestKinds::from(RequestKind::OtherGrant), "x-api-key", &header)
        .unwrap()
        .shape_requests(RequestKinds::ALL, move |request: ProviderRequest| {
            let (log, computed) = (shown.clone(), given.clone());
            async move {
                let request = request.param("proof", computed);
                log.show(&request);
                Ok(request)
            }
        });
    log.show(&RequestKind::OtherGrant);
    log.show(&RequestKinds::TOKEN);
    log.show(&app);
    world.provider.fail_next(Fault::Reply {
        status: 400,
        content_type: "text/plain".to_owned(),
        body: format!("{param} {header} {computed}"),
    });
    log.show_error(&app.token_request("client_credentials").send().await.unwrap_err());
    let assertion = secrets.plant("client assertion", "cl1ent.assertion.signed");
    let given = assertion.clone();
    let app = OAuthClient::new("foo", world.provider.token_url()).unwrap();
    let app = app.client_assertion(move || {
        let given = given.clone();
        async move { Ok(given) }
    });
    log.show(&app);
    world.provider.fail_next(Fault::Reply {
        status: 401,
        content_type: "application/json".to_owned(),
        body: format!(r#"{{"error":"invalid_client","error_description":"{assertion}"}}"#),
    });
    log.show_error(&app.token_request("client_credentials").send().await.unwrap_err());
    let wrong = format!("{header}\n");
    let refused = world.app().request_header(RequestKinds::ALL, "x-api-key", wrong);
    log.show_error(&refused.unwrap_err());
}

/// An application's grant, which sees what it is asked with.
struct Own(Log);

#[async_trait::async_trait]
impl Grant for Own {
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
        self.0.show(context);
        Token::new("a token of our own")
    }
}

async fn outcome(log: &Log, secrets: &mut Secrets, session: &Session) {
    match session.refresh().await {
        Ok(token) => {
            secrets.plant_token(&token);
            log.show(&token);
        }
        Err(error) => log.show_error(&error),
    }
    log.show(session);
}

fn from_oauth2(log: &Log, secrets: &mut Secrets) {
    use oauth2::basic::{BasicTokenResponse, BasicTokenType};
    let access_token = secrets.plant("access token", "from-the-oauth2-crate");
    let response = |access_token: String| {
        let access_token = oauth2::AccessToken::new(access_token);
        let extra = oauth2::EmptyExtraTokenFields {};
        BasicTokenResponse::new(access_token, BasicTokenType::Bearer, extra)
    };
    log.show(&Token::try_from(&response(access_token.clone())).unwrap());
    log.show_error(&Token::try_from(&response(format!("{access_token}\n"))).unwrap_err());
}
