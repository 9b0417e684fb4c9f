//! The same load against 1, 2, 4 workers: what more of them bring.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Lab, Process};

/// What stands for the number of workers in a command or an environment.
pub const WORKERS: &str = "{workers}";

/// The same lab with another number of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// What reports call it: `2 workers`.
    pub label: String,
    /// How many.
    pub workers: u32,
    /// What is started for it.
    pub lab: Lab,
}

/// What a variant reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// How many workers it had.
    pub workers: u32,
    /// The highest rate that held, per second; or answers per second at the same load.
    pub rate: f64,
    /// CPU time for each request, of the process that has the workers; none: unknown.
    pub cpu_per_request: Option<Duration>,
}

/// A row of the table of results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was reached.
    pub reached: Reached,
    /// The rate as a multiple of the first row's.
    pub speedup: f64,
    /// The speed-up as a share of what as many more workers could bring at best; 1: all of it.
    pub efficiency: f64,
}

/// One variant for each number of workers: `{workers}` in commands and environments becomes the number.
#[must_use]
pub fn variants(lab: &Lab, workers: &[u32]) -> Vec<Variant> {
    let variant = |workers: &u32| {
        let number = workers.to_string();
        let mut lab = lab.clone();
        for Process { command, env, .. } in &mut lab.processes {
            for word in command.iter_mut().chain(env.iter_mut().map(|(_, value)| value)) {
                *word = word.replace(WORKERS, &number);
            }
        }
        let label = if *workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
        Variant { label, workers: *workers, lab }
    };
    workers.iter().map(variant).collect()
}

/// Whether the number of workers makes a difference to what is started.
#[must_use]
pub fn scales(lab: &Lab) -> bool {
    let words = |process: &Process| {
        process
            .command
            .iter()
            .chain(process.env.iter().map(|(_, value)| value))
            .any(|word| word.contains(WORKERS))
    };
    lab.processes.iter().any(words)
}

/// The table of results, in the order given; the first row is what the others are compared with.
#[must_use]
pub fn table(reached: &[Reached]) -> Vec<Row> {
    let Some(first) = reached.first() else { return Vec::new() };
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let row = |reached: &Reached| {
        let speedup = ratio(reached.rate, first.rate);
        let more = ratio(f64::from(reached.workers), f64::from(first.workers));
        Row { reached: reached.clone(), speedup, efficiency: ratio(speedup, more) }
    };
    reached.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_workers_reaches_commands_and_environments() {
        let process = Process {
            name: "gateway".to_owned(),
            command: ["gateway", "--workers={workers}"].map(str::to_owned).to_vec(),
            env: vec![("GOMAXPROCS".to_owned(), "{workers}".to_owned())],
            ready: None,
            ready_within: Duration::from_secs(1),
            restart: None,
        };
        let lab = Lab { processes: vec![process], ..Lab::default() };
        assert!(scales(&lab) && !scales(&Lab::default()));
        let variants = variants(&lab, &[1, 4]);
        assert_eq!(variants[0].label, "1 worker");
        assert_eq!(variants[1].lab.processes[0].command[1], "--workers=4");
        assert_eq!(variants[1].lab.processes[0].env[0].1, "4");
    }

    #[test]
    fn efficiency_is_against_the_first_row() {
        let reached = |workers, rate| Reached { workers, rate, cpu_per_request: None };
        let rows = table(&[reached(2, 1_000.0), reached(4, 1_500.0)]);
        assert_eq!((rows[0].speedup, rows[0].efficiency), (1.0, 1.0));
        assert_eq!((rows[1].speedup, rows[1].efficiency), (1.5, 0.75));
        assert_eq!(table(&[reached(1, 0.0)])[0].efficiency, 0.0);
        assert!(table(&[]).is_empty());
    }
}
