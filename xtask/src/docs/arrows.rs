//! The crates and the arrows between them that `docs/architecture.md` draws, and those that cargo sees.

use std::collections::{BTreeMap, BTreeSet};

/// Folders of the list that hold no crate of the workspace.
const OUTSIDE: [&str; 2] = ["browser", "peers"];

/// The drawing: the rooms from the top to the bottom, and for each crate those that it uses.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) rooms: Vec<String>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Drawing {
    /// Reads the page: the list below "## Rooms", in which a room's line ends its name with `/`, and the lines below
    /// "The arrows:", each of them `USED, USED -> USER, USER`.
    pub(crate) fn read(page: &str) -> Result<Self, String> {
        let (_, rest) = page
            .split_once("## Rooms")
            .ok_or("architecture.md has no list \"## Rooms\"")?;
        let (list, rest) = rest
            .split_once("The arrows:")
            .ok_or("architecture.md has no line \"The arrows:\"")?;
        let mut rooms = Vec::new();
        for line in list.lines() {
            let name = line
                .trim_start()
                .split_once("/ ")
                .map(|(name, _)| name)
                .unwrap_or_default();
            let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
            if line.starts_with("    ") && is_name && !OUTSIDE.contains(&name) {
                rooms.push(name.to_string());
            }
        }
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let drawn = rest
            .trim_start_matches('\n')
            .lines()
            .take_while(|line| line.starts_with("    "));
        for line in drawn {
            let (used, users) = line
                .split_once("->")
                .ok_or_else(|| format!("architecture.md: the line `{}` has no arrow", line.trim()))?;
            for user in users.split(',') {
                let entry = uses.entry(user.trim().to_string()).or_default();
                entry.extend(used.split(',').map(|name| name.trim().to_string()));
            }
        }
        if rooms.is_empty() || uses.is_empty() {
            return Err("architecture.md draws no rooms, or no arrows".to_string());
        }
        Ok(Self { rooms, uses })
    }

    /// Where the drawing and what cargo says (for each crate the crates that it uses) are not the same.
    pub(crate) fn faults(&self, found: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
        let mut faults = Vec::new();
        let none = BTreeSet::new();
        for room in &self.rooms {
            if !found.contains_key(room) {
                faults.push(format!("the crate {room} of docs/architecture.md is missing"));
            }
        }
        for (user, used) in found {
            let Some(place) = self.rooms.iter().position(|room| room == user) else {
                faults.push(format!("the crate {user} is not in docs/architecture.md"));
                continue;
            };
            let drawn = self.uses.get(user).unwrap_or(&none);
            for name in used.difference(drawn) {
                faults.push(format!(
                    "{user} depends on {name}, an arrow that docs/architecture.md does not draw"
                ));
            }
            for name in drawn.difference(used) {
                faults.push(format!(
                    "docs/architecture.md draws an arrow from {name} to {user}, which does not depend on it"
                ));
            }
            for name in used {
                if self
                    .rooms
                    .iter()
                    .position(|room| room == name)
                    .is_some_and(|other| other >= place)
                {
                    faults.push(format!(
                        "{user} depends on {name}, which stands below it in docs/architecture.md"
                    ));
                }
            }
        }
        for user in self.uses.keys().filter(|user| !found.contains_key(*user)) {
            faults.push(format!(
                "docs/architecture.md draws an arrow to {user}, which is no crate"
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "## Rooms\n\n    crates/\n      a/    first (x/ y)\n      b/    second\n    peers/  other\n\nThe arrows:\n\n    a -> b\n\nend -> x";

    fn crates(list: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
        list.iter()
            .map(|(name, used)| (name.to_string(), used.iter().map(|used| used.to_string()).collect()))
            .collect()
    }

    #[test]
    fn the_drawing_is_read() {
        let drawing = Drawing::read(PAGE).unwrap();
        assert_eq!(drawing.rooms, ["a", "b"]);
        assert_eq!(
            drawing.faults(&crates(&[("a", &[]), ("b", &["a"])])),
            Vec::<String>::new()
        );
        assert!(
            Drawing::read("## Rooms\n\nThe arrows:\n")
                .unwrap_err()
                .contains("no rooms")
        );
    }

    #[test]
    fn what_is_drawn_wrong_is_a_fault() {
        let drawing = Drawing::read(PAGE).unwrap();
        let fault = |list: &[(&str, &[&str])]| drawing.faults(&crates(list)).join("; ");
        assert!(fault(&[("a", &[]), ("b", &[])]).contains("from a to b"));
        assert!(fault(&[("a", &["b"]), ("b", &["a"])]).contains("does not draw"));
        assert!(fault(&[("a", &["b"]), ("b", &["a"])]).contains("stands below"));
        assert!(fault(&[("a", &[]), ("b", &["a"]), ("c", &[])]).contains("c is not in"));
        assert!(fault(&[("b", &["a"])]).contains("a of docs/architecture.md is missing"));
    }
}
