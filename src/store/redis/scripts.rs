//! The scripts, each one step of the server's.

use std::sync::LazyLock;

use redis::Script;

pub(super) static LOAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/load.lua")));
pub(super) static COMPARE_AND_SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/compare_and_swap.lua")));
