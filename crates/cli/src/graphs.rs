//! Where graphs go.

use crate::{exit::Exit, terminal::Terminal};
use keepstate_analysis::graph::Graph;
use std::io::Write;
use std::path::Path;

/// Writes a graph to a file or, as `-`, to stdout: a picture where the name ends in `.svg`, else in the language of
/// graphviz.
pub(crate) fn draw(path: &Path, graph: &Graph, terminal: &Terminal) -> Result<(), Exit> {
    let is_picture = path.extension().is_some_and(|extension| extension == "svg");
    let text = if is_picture { graph.svg() } else { graph.dot() };
    let written = match path.as_os_str() == "-" {
        true => std::io::stdout().write_all(text.as_bytes()),
        false => std::fs::write(path, text),
    };
    written.map_err(|error| {
        terminal.error(format_args!("{}: {error}", path.display()));
        Exit::Usage
    })
}
