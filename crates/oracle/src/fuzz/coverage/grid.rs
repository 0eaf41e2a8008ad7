//! Named cells, how often each was visited, and why some cannot be.

use std::fmt;

/// The cells of one table.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    name: &'static str,
    /// What its cells are.
    what: &'static str,
    cells: Vec<Cell>,
}

#[derive(Clone, Debug)]
struct Cell {
    row: String,
    column: &'static str,
    /// Why no packet comes here.
    unreachable: Option<&'static str>,
    visits: u64,
}

impl Grid {
    /// Cells by row and column, and why those that no packet reaches are not reached.
    pub(super) fn new(
        name: &'static str,
        what: &'static str,
        cells: impl IntoIterator<Item = (String, &'static str, Option<&'static str>)>,
    ) -> Self {
        let cell = |(row, column, unreachable)| Cell { row, column, unreachable, visits: 0 };
        Self { name, what, cells: cells.into_iter().map(cell).collect() }
    }

    /// Counts a visit.
    pub(super) fn visit(&mut self, cell: usize) {
        if let Some(cell) = self.cells.get_mut(cell) {
            cell.visits += 1;
        }
    }

    /// Adds the visits of another run.
    pub(super) fn add(&mut self, other: &Self) {
        for (cell, other) in self.cells.iter_mut().zip(&other.cells) {
            cell.visits += other.visits;
        }
    }

    fn unreachable(&self) -> Vec<(&'static str, usize)> {
        let mut reasons: Vec<(&'static str, usize)> = Vec::new();
        for reason in self.cells.iter().filter_map(|cell| cell.unreachable) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        reasons
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reachable = || self.cells.iter().filter(|cell| cell.unreachable.is_none());
        let visited = reachable().filter(|cell| cell.visits > 0).count();
        writeln!(f, "{}: {visited} of {} {} visited", self.name, reachable().count(), self.what)?;
        let missing: Vec<&Cell> = reachable().filter(|cell| cell.visits == 0).collect();
        for row in missing.chunk_by(|a, b| a.row == b.row) {
            let columns: Vec<&str> = row.iter().map(|cell| cell.column).collect();
            let name = row.first().map_or("", |cell| &cell.row);
            writeln!(f, "  not visited: {}", format!("{name} {}", columns.join(", ")).trim())?;
        }
        for cell in self.cells.iter().filter(|cell| cell.unreachable.is_some() && cell.visits > 0) {
            writeln!(f, "  visited, and said to be out of reach: {} {}", cell.row, cell.column)?;
        }
        for (reason, count) in self.unreachable() {
            writeln!(f, "  {count} out of reach: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_and_what_cannot_be() {
        let cell = |row: &str, column, why| (row.to_owned(), column, why);
        let no_way = Some("no way");
        let cells = [
            cell("r", "a", None),
            cell("r", "b", None),
            cell("r", "c", None),
            cell("", "d", None),
            cell("q", "e", no_way),
            cell("q", "f", no_way),
        ];
        let mut grid = Grid::new("x", "cells", cells);
        grid.visit(0);
        grid.visit(6);
        assert_eq!(
            grid.to_string(),
            "x: 1 of 4 cells visited\n  not visited: r b, c\n  not visited: d\n  \
             2 out of reach: no way\n"
        );
        let mut sum = grid.clone();
        sum.visit(1);
        grid.add(&sum);
        assert!(grid.to_string().starts_with("x: 2 of 4 cells visited\n  not visited: r c\n"));
        grid.visit(4);
        assert!(grid.to_string().contains("visited, and said to be out of reach: q e"));
    }
}
