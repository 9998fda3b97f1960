//! Instructions, counted by valgrind's callgrind: steady, whatever else the machine does.
//!
//! A bench runs itself under callgrind with two numbers of times; the difference has no start-up in
//! it. Valgrind hides the vDSO, so a reading of the clock counts as a system call's few instructions.
//! Without valgrind nothing is counted; with `REQUIRE_VALGRIND=1` that is a failure.

use std::process::Command;

use super::Targets;

/// Set in the runs under callgrind: what to run, and how often.
const UNDER_CALLGRIND: &str = "BENCH_UNDER_CALLGRIND";
const TIMES: [u64; 2] = [1000, 3000];

/// What this process is to run, and how often, if it is one that is counted.
pub fn run() -> Option<(String, u64)> {
    let run = std::env::var(UNDER_CALLGRIND).ok()?;
    let (what, times) = run.rsplit_once(' ')?;
    Some((what.to_owned(), times.parse().ok()?))
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
    let [few, many] = TIMES;
    (collected(what, many) - collected(what, few)) as f64 / (many - few) as f64
}

/// Instructions of this program in a run of its own.
fn collected(what: &str, times: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .env(UNDER_CALLGRIND, format!("{what} {times}"))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    collected.expect("callgrind's total").1.trim().parse().unwrap()
}
