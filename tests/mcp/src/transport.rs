//! `Http`: HTTP for `rmcp`, with tokens. The protocol's own headers and answers, and nothing of a token but
//! [`Http::send`].

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use reqwest_oauth2::{RequestError, ResourceSession};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse, SseStream};

type Failure = StreamableHttpError<HttpError>;

/// The most that an answer may have.
const MAX_ANSWER: usize = 1024 * 1024;
const SESSION_ID: &str = "Mcp-Session-Id";
const EVENT_STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

#[derive(Clone)]
pub(crate) struct Http {
    http: reqwest::Client,
    session: ResourceSession,
}

type HttpError = RequestError<reqwest::Error>;

impl Http {
    pub(crate) fn new(session: ResourceSession) -> reqwest::Result<Self> {
        let redirects = reqwest_oauth2::redirect_policy_within_origin();
        let http = reqwest::Client::builder().redirect(redirects).no_proxy().build()?;
        Ok(Self { http, session })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = request.build().map_err(send_error)?;
        self.session.execute(&self.http, request).await.map_err(StreamableHttpError::Client)
    }

    fn request(
        &self,
        method: Method,
        uri: &str,
        session_id: Option<Arc<str>>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> RequestBuilder {
        let request = self.http.request(method, uri).headers(headers.into_iter().collect());
        match session_id {
            Some(id) => request.header(SESSION_ID, &*id),
            None => request,
        }
    }
}

impl StreamableHttpClient for Http {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let request = self
            .request(Method::POST, &uri, session_id, headers)
            .header(ACCEPT, format!("{EVENT_STREAM}, {JSON}"))
            .json(&message);
        let response = self.send(request).await?;
        if matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session_id = response.headers().get(SESSION_ID);
        let session_id = session_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        match content_type(&response) {
            EVENT_STREAM => Ok(StreamableHttpPostResponse::Sse(events(response), session_id)),
            // A refusal of the protocol is JSON too, whatever the status.
            JSON => {
                let (status, body) = (response.status(), body(response).await?);
                match serde_json::from_slice(&body) {
                    Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session_id)),
                    Err(error) if status.is_success() => Err(error.into()),
                    Err(_) => Err(unexpected(status)),
                }
            }
            _ => Err(unexpected(response.status())),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, &uri, Some(session_id), headers);
        let status = self.send(request).await?.status();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(unexpected(status)),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let mut request =
            self.request(Method::GET, &uri, session_id, headers).header(ACCEPT, EVENT_STREAM);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if status.is_success() => Ok(events(response)),
            status => Err(unexpected(status)),
        }
    }
}

fn content_type(response: &Response) -> &str {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

fn events(response: Response) -> BoxStream<'static, Result<Sse, SseError>> {
    SseStream::from_bytes_stream(response.bytes_stream()).boxed()
}

async fn body(response: Response) -> Result<Vec<u8>, Failure> {
    let (mut stream, mut body) = (response.bytes_stream(), Vec::new());
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(send_error)?);
        if body.len() > MAX_ANSWER {
            return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: MAX_ANSWER });
        }
    }
    Ok(body)
}

fn send_error(error: reqwest::Error) -> Failure {
    StreamableHttpError::Client(RequestError::Send(error))
}

fn unexpected(status: StatusCode) -> Failure {
    StreamableHttpError::UnexpectedServerResponse(format!("HTTP {status}").into())
}
