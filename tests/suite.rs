//! Everything that is told from outside: the path of a notice, the line, the vectors, and the lists that are imported.

#[path = "bench/mod.rs"]
mod bench;
#[path = "import/mod.rs"]
mod import;
#[path = "line/mod.rs"]
mod line;
