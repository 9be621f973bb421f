//! The simulation: realistic signed events of whole scenarios, made offline, with the end that each has to reach.
//!
//! Pure but for `sender` and `check`, which speak HTTP: tests and benchmarks use the same bodies.

mod body;
pub mod check;
pub mod dice;
pub mod plan;
pub mod population;
pub mod report;
pub mod scenario;
pub mod scenarios;
pub mod sender;
