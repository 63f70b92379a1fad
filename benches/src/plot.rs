//! A picture of a run: how far each case is from its target.

use std::fmt::Write;

/// One case.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    /// 1 is the target, 2 twice as good.
    pub(crate) margin: f64,
    /// What is written behind it.
    pub(crate) legend: String,
}

const ROW: f64 = 26.0;
const TOP: f64 = 44.0;
/// Where the target stands, and how wide a doubling is.
const MIDDLE: f64 = 330.0;
const DOUBLING: f64 = 45.0;
/// Bars end here, either way.
const DOUBLINGS_MAX: f64 = 4.0;
const LEGEND: f64 = MIDDLE + DOUBLING * DOUBLINGS_MAX + 10.0;
const WIDTH: f64 = LEGEND + 280.0;

/// The picture, as SVG.
pub(crate) fn svg(bars: &[Bar<'_>]) -> String {
    let height = TOP + ROW * bars.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MIDDLE}\" y=\"18\" text-anchor=\"middle\">target</text>\n"
    );
    for doublings in -4..=4 {
        let x = MIDDLE + DOUBLING * f64::from(doublings);
        let label = match doublings {
            ..0 => format!("1/{}", 1 << -doublings),
            _ => format!("{}", 1 << doublings),
        };
        let color = if doublings == 0 { "black" } else { "#ddd" };
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"34\" text-anchor=\"middle\" fill=\"#777\" font-size=\"11\">{label}</text>\
             <line x1=\"{x}\" x2=\"{x}\" y1=\"38\" y2=\"{height}\" stroke=\"{color}\"/>"
        );
    }
    for (place, bar) in bars.iter().enumerate() {
        let top = TOP + ROW * place as f64;
        let text = top + 13.0;
        let doublings = match bar.margin.log2() {
            unknown if unknown.is_nan() => 0.0,
            known => known.clamp(-DOUBLINGS_MAX, DOUBLINGS_MAX),
        };
        let width = DOUBLING * doublings.abs();
        let left = MIDDLE + DOUBLING * doublings.min(0.0);
        let color = if bar.margin >= 1.0 {
            "#2a9d5c"
        } else {
            "#d1495b"
        };
        let (name, legend) = (escaped(bar.name), escaped(&bar.legend));
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{text}\">{name}</text>\
             <rect x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"17\" fill=\"{color}\"/>\
             <text x=\"{LEGEND}\" y=\"{text}\">{legend}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(margin: f64) -> String {
        svg(&[Bar {
            name: "a<b",
            margin,
            legend: String::new(),
        }])
    }

    #[test]
    fn a_bar_goes_right_if_the_target_is_met_and_left_if_not() {
        assert!(bar(2.0).contains("<rect x=\"330.0\" y=\"44\" width=\"45.0\""));
        assert!(bar(0.5).contains("<rect x=\"285.0\" y=\"44\" width=\"45.0\""));
    }

    #[test]
    fn a_bar_stays_in_the_picture() {
        for margin in [f64::INFINITY, 1e9] {
            assert!(bar(margin).contains("width=\"180.0\""));
        }
        assert!(bar(f64::NAN).contains("width=\"0.0\""));
    }

    #[test]
    fn texts_are_escaped() {
        assert!(bar(1.0).contains("a&lt;b"));
    }
}
