//! One request: add the token, send, on a 401 renew and replay.
//!
//! From the top, each importing only from those below it: [`oauth_middleware`] is the layer; [`exchange`]
//! is a request that was answered with a 401, and what is sent after that; [`sent`] is what of a request
//! can be sent again, [`replay_body`] its body; [`deadline`] is how long it may take. [`redirect_policy`]
//! is for the client below.

mod deadline;
mod exchange;
mod oauth_middleware;
mod redirect_policy;
mod replay_body;
mod sent;

pub use oauth_middleware::OAuthMiddleware;
pub use redirect_policy::redirect_policy;
pub use replay_body::ReplayBody;
