//! One request, whatever sends it: add the token, send, on a 401 renew and replay.
//!
//! From the top, each importing only from those below it: [`api`] is the request path; [`exchange`] is a
//! request that was answered with a 401, and what is sent after that; [`send_request`] is what is below
//! the layer, [`request_error`] why there is no response, [`verdict`] which responses reject the token; [`sent`] is what of a request can be sent again,
//! [`placement`] is where its token goes, [`deadline`] how long it may take, [`request_options`] what is different for one request,
//! [`replay_body`] its body. [`redirect_policy`] is for the client below.

mod api;
mod deadline;
mod exchange;
mod placement;
mod redirect_policy;
mod replay_body;
mod request_error;
mod request_options;
mod send_request;
mod sent;
mod verdict;

pub use api::Api;
pub use redirect_policy::{redirect_policy, redirect_policy_within_origin};
pub use replay_body::ReplayBody;
pub use request_error::RequestError;
pub use request_options::{RequestOptions, SentWithoutToken};
pub use send_request::SendRequest;
