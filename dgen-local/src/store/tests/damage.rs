//! Damage at every kind of place.
