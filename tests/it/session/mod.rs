//! One session: when it renews its token, and what a request gets.

mod callbacks;
mod cancellation;
mod execute;
mod extreme_settings;
mod failures;
mod foreground;
mod freshness;
mod grants;
mod login_deadline;
mod origins;
mod placement;
mod redirects;
mod refresh_modes;
mod request_options;
mod runtime_loss;
mod saver_check;
mod saving;
mod shutdown;
mod sign_out;
mod single_flight;
mod timeouts;
mod token_updates;
mod unauthorized;
mod unusable_answers;
mod verdicts;
mod worker;
