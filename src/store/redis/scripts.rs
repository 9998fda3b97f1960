//! The Lua scripts. The server runs each of them atomically.

use std::sync::LazyLock;

use redis::Script;

pub(super) static LOAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/load.lua")));
pub(super) static COMPARE_AND_SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/compare_and_swap.lua")));
