//! A seed of chance, told when its test fails.

use std::io::Write;

use avow::cli::simulation::dice::Dice;

/// A seed that is another one at each run, unless `AVOW_TEST_SEED` names the one to repeat.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn new() -> Self {
        let told = std::env::var_os("AVOW_TEST_SEED");
        Self(told.map_or_else(
            || {
                let mut bytes = [0; 4];
                avow::system::fill_random(&mut bytes).unwrap();
                u32::from_le_bytes(bytes).into()
            },
            |seed| seed.to_str().unwrap().parse().unwrap(),
        ))
    }

    pub(crate) fn dice(&self) -> Dice {
        Dice::new(self.0)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let told = format!("\nrepeat with AVOW_TEST_SEED={}\n\n", self.0);
            std::io::stderr().write_all(told.as_bytes()).unwrap();
        }
    }
}
