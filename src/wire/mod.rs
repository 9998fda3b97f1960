//! What a token endpoint answered, made a [`Token`](crate::Token) or an error: pure, no I/O.
//!
//! Tolerant in what is read. Every quirk of a provider lives here, with its row in `table.rs`.

mod body;
mod response;
mod shown;
#[cfg(test)]
mod table;

pub(crate) use response::{
    Reply, Rules, malformed, read_members, read_token, rejection, scope, token,
};
pub(crate) use shown::{masked, named, shown};
