//! The source tree as it should be: generated code fresh, rooms importing only what they may.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/errors.rs"]
mod errors;
#[path = "tidy/generated.rs"]
mod generated;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shapes.rs"]
mod shapes;
