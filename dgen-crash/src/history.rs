//! What the children of one store said, held against what they say later.

use crate::child::Known;

/// All that was acknowledged or seen so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    known: Known,
    acknowledgements: u64,
    /// How many commits the store had when it was last opened.
    version: u64,
}

impl History {
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// How many messages were acknowledged.
    pub(crate) fn acknowledgements(&self) -> u64 {
        self.acknowledgements
    }

    /// The store was opened, and has `version` commits.
    ///
    /// # Errors
    /// If it had more.
    pub(crate) fn open(&mut self, version: u64) -> Result<(), String> {
        if version < self.version {
            return Err(format!(
                "{} commits were seen, {version} are stored: lost",
                self.version
            ));
        }
        self.version = version;
        Ok(())
    }

    /// The store has `number` messages of `caller`, as a child sees it.
    ///
    /// # Errors
    /// What is lost, or there too often. A caller sends one message at a time, and says where it is
    /// before it sends: so there is at most one more than is known.
    pub(crate) fn at(&mut self, caller: &str, number: u64) -> Result<(), String> {
        let known = self.known.of(caller);
        if number < known {
            return Err(format!(
                "{caller} was told {known}, {number} are stored: lost"
            ));
        }
        if number > known + 1 {
            return Err(format!(
                "{caller} was told {known}, {number} are stored: too many"
            ));
        }
        self.known.0.insert(caller.to_owned(), number);
        Ok(())
    }

    /// A message was acknowledged.
    ///
    /// # Errors
    /// If it is not the next one.
    pub(crate) fn acknowledge(&mut self, caller: &str, number: u64) -> Result<(), String> {
        let known = self.known.of(caller);
        if number != known + 1 {
            return Err(format!("{caller} was told {known}, and then {number}"));
        }
        self.acknowledgements += 1;
        self.known.0.insert(caller.to_owned(), number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_there_and_one_more_at_most() {
        let mut history = History::default();
        history.acknowledge("a", 1).unwrap();
        history.acknowledge("a", 2).unwrap();
        history.acknowledge("a", 4).unwrap_err();
        history.at("a", 1).unwrap_err();
        history.at("a", 4).unwrap_err();
        history.at("a", 3).unwrap();
        // Once it was seen it does not vanish.
        history.at("a", 2).unwrap_err();
        history.at("b", 0).unwrap();
        history.open(5).unwrap();
        history.open(5).unwrap();
        history.open(4).unwrap_err();
        assert_eq!(history.acknowledgements(), 2);
    }
}
