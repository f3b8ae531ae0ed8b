//! x
use super::{Exit, Failure, Output};
#[derive(clap::Args)]
pub(super) struct Demo {}
impl Demo {
    pub(super) async fn run(self, _: &mut Output) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
