//! What a bench must show.

use std::process::ExitCode;

/// What a bench must show; a miss makes `cargo bench` fail.
#[derive(Default)]
pub struct Targets {
    missed: usize,
}

impl Targets {
    pub fn check(&mut self, met: bool, target: &str) {
        println!("{} {target}", if met { "met:   " } else { "MISSED:" });
        self.missed += usize::from(!met);
    }

    pub fn exit(self) -> ExitCode {
        println!();
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
