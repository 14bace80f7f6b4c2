//! The line `snapshot`: where what is known is kept for a warm start (rule K-273).

use std::path::PathBuf;
use std::time::Duration;

use crate::corefile::{Directive, Error};

/// How often it is written at most, unless the line says.
const INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two writes.
const SHORTEST: Duration = Duration::from_secs(1);

/// How old a snapshot may be, unless the line says.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Where what is known is kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SnapshotSpec {
    /// The file.
    pub file: PathBuf,
    /// It is written at most so often.
    pub interval: Duration,
    /// What was confirmed longer ago is not used.
    pub max_age: Duration,
}

impl SnapshotSpec {
    /// Reads the line.
    pub(super) fn read(line: &Directive) -> Result<Self, Error> {
        let args = line.expect_args(1..=3)?;
        let [file, times @ ..] = args else { return Err(line.error("`snapshot` needs a file")) };
        let mut spec = Self { file: PathBuf::from(&file.text), interval: INTERVAL, max_age: MAX_AGE };
        if file.text.ends_with('/') {
            return Err(file
                .error(format!("`{}` names a folder", file.text))
                .hint("name the file itself: `snapshot /var/lib/signpost/cluster.snapshot`"));
        }
        if let Some(interval) = times.first() {
            spec.interval = interval.duration()?;
            if spec.interval < SHORTEST {
                return Err(interval
                    .error(format!("a snapshot every {} is too often", interval.text))
                    .hint("name at least `1s`; it is written only when something changed"));
            }
        }
        match times.get(1) {
            Some(max_age) => {
                spec.max_age = max_age.duration()?;
                if spec.max_age < spec.interval {
                    return Err(max_age.error(format!(
                        "a snapshot may be {} old and is written every {}: it would be refused nearly always",
                        max_age.text,
                        times.first().map_or("", |interval| &interval.text)
                    )));
                }
            }
            None => spec.max_age = MAX_AGE.max(spec.interval),
        }
        Ok(spec)
    }
}
