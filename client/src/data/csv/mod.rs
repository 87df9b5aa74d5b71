//! Comma-separated text: headings matched with the plan, cells turned into numbers, rows sorted into training and test.

mod cells;
mod columns;
mod records;
mod rows;
mod sites;

pub(super) use columns::input_names;
pub(super) use rows::{OwnersFrom, Part, Rows, Table};

#[cfg(test)]
mod tests;
