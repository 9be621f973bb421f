//! The specification of the state machine: the table in full, named lifecycles, laws, and small cases enumerated.

mod attempts;
mod checks;
mod decisions;
mod event;
mod histories;
mod laws;
mod lifecycles;
mod names;
mod small_cases;
mod standing;
mod story;
mod table;
