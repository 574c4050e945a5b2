//! The table `[trail]`.

use super::publishing::{Item, truth};
use super::{Reader, one_text, path};
use crate::config::trail::Trail;

impl Reader<'_> {
    /// `[trail]`.
    pub(super) fn trail(&mut self, value: &Item<'_>) -> Option<Trail> {
        const KEYS: &str = "file, journald, required";
        let table = self.table(value, "trail")?;
        let mut trail = Trail::default();
        for (key, value) in table.iter() {
            let (at, here) = (key.span().start, self.at);
            match key.get_ref().as_ref() {
                "file" => trail.file = self.right(one_text(value).and_then(|text| path(&text, here)), at),
                "journald" => trail.journald = self.right(truth(value), at).unwrap_or_default(),
                "required" => trail.required = self.right(truth(value), at).unwrap_or_default(),
                other => self.unknown(other, "trail", KEYS, at),
            }
        }
        Some(trail)
    }
}
