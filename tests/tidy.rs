//! The source tree as it should be: generated code fresh, rooms importing only what they may.

#[path = "tidy/audit.rs"]
mod audit;
#[path = "tidy/config.rs"]
mod config;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/deploy.rs"]
mod deploy;
#[path = "tidy/errors.rs"]
mod errors;
#[path = "tidy/generated.rs"]
mod generated;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shapes.rs"]
mod shapes;
