//! `Http`: HTTP for `rmcp`, with tokens. The protocol's own headers and answers, and nothing of a token but
//! [`Http::send`].

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, RequestBuilder, Response};
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
    tokens: crate::tokens::Tokens,
    handed_over: Arc<crate::handed_over::HandedOver>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Send(#[from] reqwest::Error),
    #[error(transparent)]
    Token(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl Http {
    pub(crate) fn new(handed_over: crate::handed_over::HandedOver) -> Result<Self, HttpError> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            tokens: Default::default(),
            handed_over: Arc::new(handed_over),
        })
    }

    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        Ok(self.tokens.send(&self.http, request, &self.handed_over).await?)
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

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = request.build().map_err(HttpError::from);
        let sent = match request {
            Ok(request) => self.send(request).await,
            Err(error) => Err(error),
        };
        sent.map_err(StreamableHttpError::Client)
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
        let response = self.answer(request).await?;
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
        let status = self.answer(request).await?.status();
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
        let response = self.answer(request).await?;
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
        body.extend_from_slice(&chunk.map_err(|error| StreamableHttpError::Client(error.into()))?);
        if body.len() > MAX_ANSWER {
            return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: MAX_ANSWER });
        }
    }
    Ok(body)
}

fn unexpected(status: StatusCode) -> Failure {
    StreamableHttpError::UnexpectedServerResponse(format!("HTTP {status}").into())
}
