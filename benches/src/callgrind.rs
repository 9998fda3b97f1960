//! Instructions, counted by valgrind's callgrind: steady, whatever else the machine does.
//!
//! A bench runs itself under callgrind, which collects within [`counted`] alone: start-up, and tables
//! whose layout hangs on random hashes, are not in the count. Valgrind hides the vDSO, so a reading
//! of the clock counts as a system call's few instructions. Without valgrind nothing is counted; with
//! `REQUIRE_VALGRIND=1` that is a failure.

use std::process::Command;

use super::Targets;

/// Set in the runs under callgrind: what to run.
const UNDER_CALLGRIND: &str = "BENCH_UNDER_CALLGRIND";
const TIMES: u64 = 10_000;

/// What this process is to run, if it is one that is counted.
pub fn run() -> Option<String> {
    std::env::var(UNDER_CALLGRIND).ok()
}

/// Runs what is counted, which does its work as often as it is told.
#[inline(never)]
pub fn counted<T>(work: impl FnOnce(u64) -> T) -> T {
    work(TIMES)
}

/// Whether instructions can be counted here.
pub fn present(targets: &mut Targets) -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    let present = version.is_ok_and(|output| output.status.success());
    if !present {
        println!("valgrind is not installed: instructions are not counted\n");
        if std::env::var_os("REQUIRE_VALGRIND").is_some_and(|value| value == "1") {
            targets.check(false, "REQUIRE_VALGRIND=1");
        }
    }
    present
}

/// Instructions of one time.
pub fn instructions(what: &str) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*callgrind::counted*")
        .arg(std::env::current_exe().unwrap())
        .env(UNDER_CALLGRIND, what)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let collected: u64 = collected.expect("callgrind's total").1.trim().parse().unwrap();
    assert!(collected > TIMES, "callgrind found nothing to count: {report}");
    collected as f64 / TIMES as f64
}
