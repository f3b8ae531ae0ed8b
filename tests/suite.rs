//! Everything that is told from outside: the path of a notice, the line, the vectors, and the lists that are imported.

#[path = "import/mod.rs"]
mod import;
#[path = "line/mod.rs"]
mod line;
#[path = "path/mod.rs"]
mod path;
#[path = "scenarios/mod.rs"]
mod scenarios;
#[path = "support/mod.rs"]
mod support;
