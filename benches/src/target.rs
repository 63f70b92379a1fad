//! What a case is to come to.

/// A bound for the case's ratio, or for its figure where there is no ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    /// How far on the good side a value is: 2 is twice as good as the target asks, 0.5 half as good.
    pub(crate) fn margin(self, value: f64) -> f64 {
        match self {
            Self::AtLeast(bound) => value / bound,
            Self::AtMost(bound) => bound / value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_on_its_good_side_and_at_its_bound() {
        assert!(Target::AtLeast(0.9).is_met(0.9));
        assert!(!Target::AtLeast(0.9).is_met(0.8));
        assert!(Target::AtMost(20.0).is_met(20.0));
        assert!(!Target::AtMost(20.0).is_met(21.0));
    }

    #[test]
    fn what_was_not_measured_meets_no_target() {
        assert!(!Target::AtLeast(0.9).is_met(f64::NAN));
        assert!(!Target::AtMost(0.9).is_met(f64::NAN));
    }

    #[test]
    fn a_margin_above_one_is_better_than_asked() {
        assert!((Target::AtLeast(2.0).margin(4.0) - 2.0).abs() < 1e-9);
        assert!((Target::AtMost(2.0).margin(4.0) - 0.5).abs() < 1e-9);
    }
}
