//! A progress bar on stderr, where somebody looks at it.

use indicatif::{ProgressBar, ProgressStyle};

/// How far something has come.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Shows a bar that counts such things.
    pub(super) fn of(things: &str) -> Self {
        let template = format!("{{bar:32}} {{pos}}/{{len}} {things}, {{per_sec}}, {{eta}} left");
        let style = ProgressStyle::with_template(&template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style))
    }

    /// Shows how many of how many are done.
    pub(super) fn set(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        self.0.finish_and_clear();
    }
}
