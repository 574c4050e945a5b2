//! Whether the key may still change what needs no change today: better found now than on the day when a host key has to go.

use std::collections::BTreeMap;

use crate::agent::published::Published;
use crate::backend::site::Site;
use crate::error::Error;
use crate::proto::name::Name;

/// How often it is tried, in seconds: servers write a line for it.
const EVERY: u64 = 3600;
/// For so many sets of a zone in one pass; for others in the next.
const MOST: usize = 8;

/// When it was last seen that sets may be changed, in seconds since 1970; by where they stand and the place that holds them.
pub type May = BTreeMap<(Name, String), u64>;

/// The rights at one zone, in one pass.
pub struct Rights<'a> {
    site: &'a Site,
    zone: &'a Name,
    may: &'a mut May,
    left: usize,
}

impl<'a> Rights<'a> {
    /// None tried yet.
    pub fn new(site: &'a Site, zone: &'a Name, may: &'a mut May) -> Self {
        Rights { site, zone, may, left: MOST }
    }

    /// Why records at `owner` could not be changed, of which this became a moment ago. A change that was acknowledged speaks
    /// for itself.
    pub async fn missing(&mut self, owner: &Name, published: &Published, now: u64) -> Option<Error> {
        let key = (owner.clone(), self.site.label());
        if published.error.is_some() {
            self.may.remove(&key);
            return None;
        }
        if !published.changed {
            let is_known = self.may.get(&key).is_some_and(|at| now < at.saturating_add(EVERY));
            if is_known || self.left == 0 {
                return None;
            }
            self.left -= 1;
            if let Err(mut error) = self.site.try_rights(self.zone, owner).await {
                error.message = format!(
                    "the records at {owner} are as wanted, and could not be changed now: {}",
                    error.message
                );
                self.may.remove(&key);
                return Some(error);
            }
        }
        self.may.insert(key, now);
        None
    }
}
