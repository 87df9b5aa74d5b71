//! When devices are there: the file of a trace of availability.

use std::io::Read;
use std::path::Path;

use super::error::{DataError, Position};
use super::file::Input;

/// Largest file of a trace.
const TRACE_BYTES_MAX: u64 = 1 << 28;
/// Latest time of a trace in seconds: ten years.
const SECONDS_MAX: f64 = 10.0 * 366.0 * 86_400.0;

/// The times at which each of some devices is there, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    devices: Vec<Vec<(u64, u64)>>,
    period_ms: u64,
}

impl Trace {
    /// Reads `file` inside `folder`, which may be compressed with gzip.
    ///
    /// # Errors
    /// When the file is missing, too large, or a line of it is no device with two times.
    pub fn read(folder: &Path, file: &str) -> Result<Self, DataError> {
        let input = Input::open(folder, file)?;
        let mut text = String::new();
        let mut reader = input.reader.take(TRACE_BYTES_MAX + 1);
        reader.read_to_string(&mut text).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        if text.len() as u64 > TRACE_BYTES_MAX {
            let (file, found) = (file.to_owned(), text.len() as u64);
            return Err(DataError::TooLarge { file, what: "bytes", found, limit: TRACE_BYTES_MAX });
        }
        Self::parse(file, &text)
    }

    /// Reads the text of the file `name`: lines of `device,from,until`, the times in seconds.
    ///
    /// # Errors
    /// When a line is no device with two times, the first below the second.
    pub fn parse(name: &str, text: &str) -> Result<Self, DataError> {
        let mut places = std::collections::HashMap::new();
        let mut trace = Self::default();
        for (number, line) in (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let Some((device, from, until)) = times(line) else {
                let why = format!("{} is no device with two times: {line:?}", Position::Line(number));
                let help = "write device,from,until in each line, times in seconds with from below until";
                return Err(DataError::Malformed { file: name.to_owned(), format: "CSV", why, help });
            };
            let at = *places.entry(device).or_insert_with(|| {
                trace.devices.push(Vec::new());
                trace.devices.len() - 1
            });
            trace.devices[at].push((from, until));
            trace.period_ms = trace.period_ms.max(until);
        }
        for device in &mut trace.devices {
            *device = joined(std::mem::take(device));
        }
        Ok(trace)
    }

    /// The times of the device that the site at `place` is: devices are dealt in turn. `None` for an empty trace.
    #[must_use]
    pub fn device(&self, place: usize) -> Option<&[(u64, u64)]> {
        self.devices.get(place.checked_rem(self.devices.len())?).map(Vec::as_slice)
    }

    /// The last time of all, with which the trace begins again; above 0 where there is a device.
    #[must_use]
    pub fn period_ms(&self) -> u64 {
        self.period_ms
    }
}

fn times(line: &str) -> Option<(&str, u64, u64)> {
    let mut fields = line.split(',').map(str::trim);
    let (device, from, until) =
        (fields.next()?, fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    let inside = |time: f64| (0.0..=SECONDS_MAX).contains(&time);
    let milliseconds = |time: f64| (time * 1e3).round() as u64;
    let (from, until) =
        if inside(from) && inside(until) { (milliseconds(from), milliseconds(until)) } else { return None };
    (fields.next().is_none() && !device.is_empty() && from < until).then_some((device, from, until))
}

/// Times in order, those that touch or overlap as one.
fn joined(mut times: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    times.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::with_capacity(times.len());
    for (from, until) in times {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => apart.push((from, until)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_their_times_in_order() {
        let trace = Trace::parse("t", "a,5,7.5\nb,0,1\n\na, 1, 3\na,2,4\n").unwrap();
        assert_eq!(trace.device(0), Some(&[(1000, 4000), (5000, 7500)][..]));
        assert_eq!((trace.device(3), trace.period_ms()), (Some(&[(0, 1000)][..]), 7500));
        assert_eq!(Trace::default().device(0), None);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["a,1", "a,2,1", "a,1,x", ",1,2", "a,1,2,3", "a,-1,2", "a,0,NaN", "a,0,1e99"] {
            let error = Trace::parse("t", &format!("a,1,2\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.contains('t') && error.contains("line 2"), "{error}");
        }
    }
}
