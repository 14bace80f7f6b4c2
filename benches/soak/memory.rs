//! Memory, open files and threads, a look a second, and whether they stay.

/// Looks of the start that do not count: heaps and caches warm up. Unit: parts of all looks.
const WARM_UP: usize = 10;

/// Seconds of a step of the slope: its median is one point.
const STEP: usize = 60;

/// From how many minutes on the slope says anything.
pub(crate) const SLOPE_FROM: usize = 30;

/// What was seen each second.
#[derive(Default)]
pub(crate) struct Memory {
    /// Resident memory. Unit: bytes.
    pub(crate) rss: Vec<f64>,
    /// Open files.
    pub(crate) files: Vec<f64>,
    /// Threads.
    pub(crate) threads: Vec<f64>,
}

/// How fast it grows behind the warm-up: least squares over the medians of minutes. Unit: that of the looks, an hour.
pub(crate) fn slope(all: &[f64]) -> f64 {
    let warm = all.get(all.len() / WARM_UP..).unwrap_or_default();
    let points: Vec<f64> = warm.chunks_exact(STEP.min(warm.len().max(1))).map(median).collect();
    let count = float(points.len() as u64);
    let mean_x = (count - 1.0) / 2.0;
    let mean_y = points.iter().sum::<f64>() / count.max(1.0);
    let (mut over, mut under) = (0.0, 0.0);
    for (at, y) in points.iter().enumerate() {
        let x = float(at as u64) - mean_x;
        over += x * (y - mean_y);
        under += x * x;
    }
    if under == 0.0 { 0.0 } else { over / under * (3600.0 / float(STEP as u64)) }
}

/// The largest of the first and of the last quarter.
pub(crate) fn quarters(all: &[f64]) -> (f64, f64) {
    let quarter = all.len().div_ceil(4);
    let largest = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    (
        largest(all.get(..quarter).unwrap_or_default()),
        largest(all.get(all.len() - quarter..).unwrap_or_default()),
    )
}

/// The median.
pub(crate) fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// A count for arithmetic.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
