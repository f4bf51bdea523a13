//! A table as Markdown, padded so that a terminal shows it as well.
//!
//! Must never know what is in it.

/// Rows of cells; the first is the heading.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Add a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cell = |(column, width): (usize, &usize)| {
                let text = row.get(column).map_or("", String::as_str);
                if column == 0 {
                    format!(" {text:<width$} |")
                } else {
                    format!(" {text:>width$} |")
                }
            };
            let cells: String = widths.iter().enumerate().map(cell).collect();
            format!("|{cells}\n")
        };
        let rule = |(column, width): (usize, &usize)| match column {
            0 => format!("-{}-|", "-".repeat(*width)),
            _ => format!("-{}:|", "-".repeat(*width)),
        };
        let rule: String = widths.iter().enumerate().map(rule).collect();
        let mut lines = self.rows.iter().map(line);
        let heading = lines.next().unwrap_or_default();
        format!("{heading}|{rule}\n{}", lines.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::default();
        table.row(["", "10k"].map(str::to_owned));
        table.row(["wall", "0.1 s"].map(str::to_owned));
        let expected = "\
|      |   10k |
|------|------:|
| wall | 0.1 s |
";
        assert_eq!(table.render(), expected);
    }
}
