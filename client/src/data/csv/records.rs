//! Rows of a CSV file as bytes: with limits, and with the lines they begin at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder, Trim};

use crate::data::error::{CellProblem, DataError};
use crate::data::limits::{FILE_BYTES_MAX, FILE_COLUMNS_MAX, LINE_BYTES_MAX};

const BUFFER_BYTES: usize = 1 << 16;

/// The rows of a file as bytes, with limits.
pub(super) struct Records {
    pub(super) file: String,
    /// The row that was read last.
    pub(super) record: ByteRecord,
    reader: csv::Reader<Metered>,
    used: Rc<RefCell<Used>>,
}

/// What was taken from a file.
struct Used {
    /// Bytes since the last row.
    row: u64,
    /// Bytes in all.
    all: u64,
    /// The line that the next byte is on.
    line: u64,
    /// Whether the next byte is the first of its line.
    at_start: bool,
    /// Lines that are not blank and not yet read as rows, by the place of their first byte. The csv crate gives the line
    /// before the blank ones that it skips.
    starts: VecDeque<LineStart>,
}

struct LineStart {
    byte: u64,
    line: u64,
}

impl Used {
    fn take(&mut self, bytes: &[u8]) {
        for (byte, content) in (self.all..).zip(bytes) {
            match content {
                b'\n' => {
                    self.line += 1;
                    self.at_start = true;
                }
                b'\r' => self.at_start = true,
                _ if self.at_start => {
                    self.starts.push_back(LineStart { byte, line: self.line });
                    self.at_start = false;
                }
                _ => {}
            }
        }
        self.row += bytes.len() as u64;
        self.all += bytes.len() as u64;
    }

    /// The first line that is not blank at or after the place `byte`; earlier ones are forgotten.
    fn line_from(&mut self, byte: u64) -> u64 {
        while self.starts.front().is_some_and(|start| start.byte < byte) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |start| start.line)
    }

    fn over_row(&self) -> bool {
        self.row > LINE_BYTES_MAX + BUFFER_BYTES as u64
    }

    fn over_file(&self) -> bool {
        self.all > FILE_BYTES_MAX
    }
}

/// Stops a row or a file that goes on for too long.
struct Metered {
    inner: Box<dyn BufRead>,
    used: Rc<RefCell<Used>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut used = self.used.borrow_mut();
        if used.over_row() || used.over_file() {
            return Err(io::Error::other("a limit is reached"));
        }
        let bytes = self.inner.read(buffer)?;
        used.take(buffer.get(..bytes).unwrap_or_default());
        Ok(bytes)
    }
}

impl Records {
    pub(super) fn new(file: String, inner: Box<dyn BufRead>, delimiter: char, comment: Option<char>) -> Self {
        let used = Used { row: 0, all: 0, line: 1, at_start: true, starts: VecDeque::new() };
        let used = Rc::new(RefCell::new(used));
        let reader = ReaderBuilder::new()
            // The plan's reader has checked that it is ASCII.
            .delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .comment(comment.and_then(|comment| u8::try_from(comment).ok()))
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Metered { inner, used: Rc::clone(&used) });
        Self { file, reader, used, record: ByteRecord::new() }
    }

    /// The names of the columns: those of the plan, or else the first line.
    pub(super) fn headings(&mut self, planned: &[String]) -> Result<Vec<String>, DataError> {
        if !planned.is_empty() {
            return Ok(planned.to_vec());
        }
        if self.advance()?.is_none() {
            return Err(DataError::Empty {
                what: format!("{} has", self.file),
                why: "the file is empty".to_owned(),
                help: "write a heading line and one line for each sample",
            });
        }
        if self.record.len() > FILE_COLUMNS_MAX {
            let (file, found, limit) = (self.file.clone(), self.record.len() as u64, FILE_COLUMNS_MAX as u64);
            return Err(DataError::TooLarge { file, what: "columns", found, limit });
        }
        let name = |(place, bytes): (usize, &[u8])| match std::str::from_utf8(bytes) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(_) => Err(DataError::Cell {
                file: self.file.clone(),
                line: 1,
                column: format!("number {}", place + 1),
                problem: CellProblem::NotUtf8,
            }),
        };
        self.record.iter().enumerate().map(name).collect()
    }

    /// Reads the next row that is not blank, of `fields` fields, and gives its line.
    pub(super) fn next(&mut self, fields: usize) -> Result<Option<u64>, DataError> {
        while let Some(line) = self.advance()? {
            let found = self.record.len();
            if found == fields {
                return Ok(Some(line));
            }
            let blank = found == 1 && self.record.get(0).is_some_and(<[u8]>::is_empty);
            if !blank {
                return Err(DataError::Ragged { file: self.file.clone(), line, found, expected: fields });
            }
        }
        Ok(None)
    }

    fn advance(&mut self) -> Result<Option<u64>, DataError> {
        let from = self.reader.position().byte();
        let more = match self.reader.read_byte_record(&mut self.record) {
            Ok(more) => more,
            Err(error) => return Err(self.failed(error, from)),
        };
        let mut used = self.used.borrow_mut();
        used.row = 0;
        let line = used.line_from(from);
        if self.record.as_slice().len() as u64 > LINE_BYTES_MAX {
            return Err(DataError::LineTooLong { file: self.file.clone(), line, limit: LINE_BYTES_MAX });
        }
        Ok(more.then_some(line))
    }

    fn failed(&self, error: csv::Error, from: u64) -> DataError {
        let file = self.file.clone();
        let mut used = self.used.borrow_mut();
        if used.over_file() {
            return DataError::TooLarge { file, what: "bytes", found: used.all, limit: FILE_BYTES_MAX };
        }
        if used.over_row() {
            return DataError::LineTooLong { file, line: used.line_from(from), limit: LINE_BYTES_MAX };
        }
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DataError::Read { file, source },
            other => DataError::Malformed {
                file,
                format: "CSV",
                why: format!("{other:?}"),
                help: "save it again as plain comma-separated text",
            },
        }
    }
}
