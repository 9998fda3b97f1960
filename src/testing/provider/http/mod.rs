//! Requests and responses as bytes.

mod close_connection;
pub(crate) mod html;
mod request_body;
pub(crate) mod response;
mod response_body;

pub(crate) use close_connection::CloseConnection;
pub(crate) use request_body::{MAX_FORM, drain, receive_form};
pub(crate) use response_body::ResponseBody;
