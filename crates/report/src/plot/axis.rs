//! Axes: what range to show, where the ticks go, how they read.

/// How an axis maps values to places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scale {
    #[default]
    Linear,
    Log,
}

/// The wish of the caller for one axis.
#[derive(Debug, Clone, Default)]
pub(super) struct AxisOptions {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) range: Option<(f64, f64)>,
}

impl AxisOptions {
    /// Whether a value can be shown at all.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// The axis for these values; values that cannot be shown are left out, and without any it shows 0..1 (1..10).
    pub(super) fn fit(&self, values: impl Iterator<Item = f64>, pad: bool) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| self.shows(*value)) {
            low = low.min(value);
            high = high.max(value);
        }
        if let Some((wanted_low, wanted_high)) = self.range
            && self.shows(wanted_low)
            && self.shows(wanted_high)
            && wanted_low != wanted_high
        {
            (low, high) = (wanted_low.min(wanted_high), wanted_low.max(wanted_high));
            return Axis::new(self.scale, low, high);
        }
        if low > high {
            (low, high) = if self.scale == Scale::Log {
                (1.0, 10.0)
            } else {
                (0.0, 1.0)
            };
        } else if low == high {
            (low, high) = match self.scale {
                Scale::Log => (low / 2.0, high * 2.0),
                Scale::Linear if low == 0.0 => (-1.0, 1.0),
                Scale::Linear => (low - low.abs() * 0.1, high + high.abs() * 0.1),
            };
        } else if pad {
            match self.scale {
                Scale::Linear => {
                    let margin = (high / 2.0 - low / 2.0) * 0.08;
                    // A quantity that is never negative keeps its zero: an axis at -0.02 looks like a mistake.
                    let floor = if low >= 0.0 { 0.0 } else { f64::MIN };
                    (low, high) = ((low - margin).max(floor), high + margin);
                }
                Scale::Log => {
                    let margin = (high / low).powf(0.05);
                    (low, high) = (low / margin, high * margin);
                }
            }
        }
        Axis::new(self.scale, low, high)
    }
}

/// A range and its scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    fn new(scale: Scale, low: f64, high: f64) -> Self {
        // Ranges near the end of f64 would overflow in differences.
        let (low, high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
        let (low, high) = if scale == Scale::Log {
            (low.max(1e-300), high.max(1e-299))
        } else {
            (low, high)
        };
        if high > low {
            Self { scale, low, high }
        } else {
            Self {
                scale,
                low: low - 1.0,
                high: high + 1.0,
            }
        }
    }

    pub(super) fn low(self) -> f64 {
        self.low
    }

    pub(super) fn high(self) -> f64 {
        self.high
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end, outside of that beyond the ends.
    pub(super) fn position(self, value: f64) -> f64 {
        let position = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln(),
        };
        if position.is_finite() {
            position.clamp(-50.0, 51.0)
        } else {
            0.0
        }
    }

    /// About `count` round values with their labels.
    pub(super) fn ticks(self, count: usize) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, count),
            Scale::Log => log_ticks(self.low, self.high, count),
        }
    }
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / count.max(1) as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = match rough / magnitude {
        f if f <= 1.5 => magnitude,
        f if f <= 3.2 => magnitude * 2.0,
        f if f <= 7.0 => magnitude * 5.0,
        _ => magnitude * 10.0,
    };
    if !step.is_finite() || step <= 0.0 {
        return vec![(low, tick_label(low, 0))];
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (low / step - 1e-9).ceil();
    (0..=3 * count + 3)
        .map(|index| (first + index as f64) * step)
        .take_while(|value| *value <= high + step * 1e-9)
        .map(|value| (value, tick_label(value, decimals)))
        .collect()
}

fn log_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (last - first).max(1);
    let steps: &[f64] = match decades {
        1 => &[1.0, 2.0, 3.0, 5.0],
        2 => &[1.0, 2.0, 5.0],
        3 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let stride = (decades as usize).div_ceil(count.max(1)).max(1);
    let ticks: Vec<_> = (first..=last)
        .step_by(stride)
        .flat_map(|exponent| steps.iter().map(move |step| step * 10f64.powi(exponent)))
        .filter(|value| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9))
        .map(|value| (value, log_label(value)))
        .collect();
    // Less than a step between the ends: round values of a linear axis do better.
    if ticks.len() < 2 {
        linear_ticks(low, high, count.min(4))
    } else {
        ticks
    }
}

fn log_label(value: f64) -> String {
    let exponent = value.log10().floor() as i32;
    if (-3..=4).contains(&exponent) {
        return tick_label(value, usize::try_from(-exponent).unwrap_or(0));
    }
    let mantissa = (value / 10f64.powi(exponent)).round();
    let power = format!("10{}", crate::latex::superscript(&exponent.to_string()));
    if mantissa == 1.0 {
        power
    } else {
        format!("{mantissa}·{power}")
    }
}

/// A tick's label: thousands separated, large and tiny values as powers of ten.
fn tick_label(value: f64, decimals: usize) -> String {
    let size = value.abs();
    if size >= 1e7 || (size > 0.0 && size < 1e-4) {
        return crate::format::scientific(value, 1);
    }
    crate::format::number(value, decimals)
}
