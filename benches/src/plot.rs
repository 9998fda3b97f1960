//! `lines`: a plot of lines over time, as an SVG file.

use std::error::Error;
use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

pub const GREY: RGBColor = RGBColor(150, 150, 150);
pub const BLUE: RGBColor = RGBColor(9, 105, 218);
pub const RED: RGBColor = RGBColor(207, 34, 46);

/// What stands beside the lines.
pub struct Words<'a> {
    pub caption: &'a str,
    pub x: &'a str,
    pub y: &'a str,
}

/// A line: its name, its colour, its points.
pub type Line<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// The file that `-- --plot FILE.svg` names.
pub fn file() -> Option<String> {
    std::env::args().skip_while(|argument| argument != "--plot").nth(1)
}

/// Draws the lines into the file.
pub fn lines<Y>(
    file: &str,
    words: &Words<'_>,
    (x, y): (Range<f64>, Y),
    lines: Vec<Line<'_>>,
) -> Result<(), Box<dyn Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(words.caption, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(words.x)
        .y_desc(words.y)
        .x_label_formatter(&|x| x.to_string())
        .y_label_formatter(&|y| y.to_string())
        .draw()?;
    for (name, color, points) in lines {
        let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: 2 };
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(root.present()?)
}
