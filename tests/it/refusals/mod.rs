//! What ends a login, and what does not.

mod dead_refresh_token;
mod ten_minutes;
