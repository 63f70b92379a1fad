//! Maps serde state to keys so that a write costs what changed
