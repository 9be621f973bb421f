//! How many anomalies are listed, by rule: for whoever watches, not for whoever asks.

use std::collections::BTreeMap;

use super::listing::rule_of_row;
use super::store::StoreError;
use super::view::View;

impl View {
    /// Returns how many anomalies of each rule are listed, in all worlds. Reads the keys of all of them.
    pub fn anomalies_by_rule(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for prefix in super::listing::ALL_ANOMALIES {
            let rows = self.snapshot.prefix(&self.projections.listings, prefix);
            for row in rows {
                let key = self.noting_damage(row)?.0;
                let rule = self.noting_damage(rule_of_row(&key))?;
                *counts.entry(rule.to_owned()).or_default() += 1;
            }
        }
        Ok(counts)
    }
}
