//! How many messages share a transaction: fewer after one was too much, more again after each that
//! was not.

/// At most so many messages share one transaction.
pub(crate) const BATCH_MAX: usize = 1_000;

#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSize(usize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(BATCH_MAX)
    }
}

impl BatchSize {
    pub(crate) fn get(self) -> usize {
        self.0
    }

    pub(crate) fn grow(&mut self) {
        self.0 = BATCH_MAX.min(self.0 * 2);
    }

    /// Half of the `handled` that were too much. Whether it got smaller.
    pub(crate) fn halve(&mut self, handled: usize) -> bool {
        let before = self.0;
        self.0 = half(before, handled);
        self.0 < before
    }

    /// No more than this.
    pub(crate) fn reduce_to(&mut self, max: usize) {
        self.0 = self.0.min(max);
    }

    /// Whether it got smaller.
    pub(crate) fn single(&mut self) -> bool {
        std::mem::replace(&mut self.0, 1) > 1
    }
}

/// Half of the `handled` of at most `batch_max` messages that were too much.
pub(crate) fn half(batch_max: usize, handled: usize) -> usize {
    (batch_max.min(handled) / 2).max(1)
}
