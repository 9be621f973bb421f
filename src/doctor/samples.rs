//! The samples of a scrape, read back from their text.

use std::collections::BTreeMap;

/// The samples, by name.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<String, Vec<Sample>>);

/// Labels, and a value.
type Sample = (BTreeMap<String, String>, f64);

impl Samples {
    /// Reads what can be read; a line that is none of ours is left out.
    pub(super) fn read(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse() else {
                continue;
            };
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels_of(labels.trim_end_matches('}'))),
                None => (series, BTreeMap::new()),
            };
            let of_name = samples.0.entry(name.to_owned()).or_default();
            of_name.push((labels, value));
        }
        samples
    }

    /// Returns the value of a metric without labels.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.first().map(|(_, value)| *value)
    }

    /// Returns the value of a metric that counts.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.value(name).map(whole)
    }

    /// Returns what a metric counts by a label.
    pub(super) fn counts(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let series = self.0.get(name).into_iter().flatten();
        series
            .filter_map(|(labels, value)| Some((labels.get(label)?.clone(), whole(*value))))
            .collect()
    }
}

/// Returns a number that counts something as such.
fn whole(value: f64) -> u64 {
    format!("{value:.0}").parse().unwrap_or(0)
}

/// Reads `name="value",…`; a value may have commas, and escapes.
fn labels_of(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next() {
                None => return labels,
                Some((end, '"')) => break end,
                Some((_, '\\')) => value.extend(characters.next().map(|(_, character)| character)),
                Some((_, character)) => value.push(character),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let samples = Samples::read(
            "# HELP a_total What.\n# TYPE a counter\na_total{of=\"x,y\",and=\"say \\\"z\\\"\"} 3\nb 1.5\nc{of=\"d\"} 2\n# EOF\n",
        );

        assert_eq!(samples.value("b"), Some(1.5));
        assert_eq!(samples.count("a_total"), Some(3));
        assert_eq!(
            samples.counts("c", "of"),
            BTreeMap::from([("d".to_owned(), 2)])
        );
        assert_eq!(
            samples.counts("a_total", "and"),
            BTreeMap::from([("say \"z\"".to_owned(), 3)])
        );
        assert_eq!(samples.value("nothing"), None);
    }
}
