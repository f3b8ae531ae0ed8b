//! The command line: results on stdout, talk on stderr, the same exit codes everywhere.

mod bench;
mod certificate;
mod context;
mod demo;
mod doctor;
mod evidence;
mod files;
mod import;
mod log;
mod network;
mod operate;
mod output;
mod shell;
mod support;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use files::read;
pub use output::{Exit, Failure, Output};

/// Moves signed notices between agencies, and proves what became of each.
#[derive(Parser)]
#[command(name = "liaison", version, max_term_width = 100)]
struct Args {
    /// Who acts: a context's name, its folder or its file. See `liaison partner add`.
    #[arg(short, long, global = true, env = "LIAISON_CONTEXT", value_name = "CONTEXT")]
    context: Option<String>,
    /// For people, or one JSON object on one line at the end.
    #[arg(long, global = true, value_enum, default_value_t = output::Format::Human)]
    output: output::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a network: an authority, one node, a directory and an agreement that all members share.
    Init(network::Init),
    /// Enrol partners.
    #[command(subcommand)]
    Partner(network::PartnerCommand),
    /// Issue TLS certificates anew.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Sign the directory, or look at what it says and what it means.
    #[command(subcommand)]
    Directory(network::DirectoryCommand),
    /// Run a node.
    Serve(operate::Serve),
    /// How a node of this machine is.
    Status(operate::Local),
    /// Find out what is wrong with a node or a partner's line to it, and how to mend it.
    Doctor(doctor::Doctor),
    /// Ask a node of this machine to read its directory and certificate again.
    Reload(operate::Local),
    /// Send a notice and save its receipt.
    Send(Box<work::Send>),
    /// What waits for you.
    Inbox(work::Inbox),
    /// Sign for a notice: accept, refuse, or say that you have it.
    Ack(work::Ack),
    /// One notice that you sent or were sent.
    Show(work::Show),
    /// What has become of a notice.
    Trace(work::Trace),
    /// Verify receipt files, offline.
    Verify(evidence::Verify),
    /// Turn other people's lists into notices.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// A hub, three partners and notices between them, in a temporary folder.
    Demo(demo::Demo),
    /// Measure a node of this machine, and what a notice costs it.
    Bench(bench::Bench),
    /// The newest checkpoint of the log, verified; following it; a node's anchor.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Everything that helps others to help you, in one file without secrets.
    SupportBundle(support::SupportBundle),
    /// Completions for a shell.
    Completions(shell::Completions),
    /// Manual pages.
    Man(shell::Man),
    /// The catalogue of refusals.
    #[command(subcommand)]
    Errors(evidence::ErrorsCommand),
}

/// What a command has finished is finished; threads that are still blocked when it ends are given so long.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Parses, runs, prints, and says how it went.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return called_wrongly(&error),
    };
    let mut output = Output::new(args.output);
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(run(args, &mut output));
        // Whatever still blocks a thread, a read from a mount that is gone, ends with the process.
        runtime.shutdown_timeout(ENDS_WITHIN);
        outcome
    });
    output.finish(outcome)
}

/// Help and versions are results; everything else is told as every failure is, to people and programs alike.
fn called_wrongly(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(Exit::Done as u8);
    }
    let text = error.to_string();
    if !asked_for_json(std::env::args_os().skip(1)) {
        // Arguments may be names of files, which may hold anything.
        output::complain(text.trim_end());
        return ExitCode::from(Exit::Usage as u8);
    }
    let (problem, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let problem = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => "no command".into(),
        _ => problem.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
    let failure = Failure::new(Exit::Usage, problem).next(usage.unwrap_or("liaison --help"));
    Output::new(output::Format::Json).finish(Err(failure))
}

/// What `--output` says in arguments that could not be read as a whole.
fn asked_for_json(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<_> = args.take_while(|arg| arg != "--").collect();
    let pair = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "json";
    args.windows(2).any(pair) || args.iter().any(|arg| arg == "--output=json")
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

async fn run(args: Args, output: &mut Output) -> Result<Exit, Failure> {
    let context = || context::Context::find(args.context.as_deref());
    match args.command {
        Command::Init(command) => command.run(output),
        Command::Partner(command) => command.run(output),
        Command::Certificate(command) => command.run(output),
        Command::Directory(command) => command.run(output),
        Command::Serve(command) => command.run(output).await,
        Command::Status(command) => command.status(output).await,
        Command::Doctor(command) => command.run(args.context.as_deref(), output).await,
        Command::Reload(command) => command.reload(output).await,
        Command::Send(command) => command.run(&context()?, output).await,
        Command::Inbox(command) => command.run(&context()?, output).await,
        Command::Ack(command) => command.run(&context()?, output).await,
        Command::Show(command) => command.run(&context()?, output).await,
        Command::Trace(command) => command.run(&context()?, output).await,
        Command::Verify(command) => command.run(output),
        Command::Import(command) => command.run(args.context.as_deref(), output).await,
        Command::Demo(command) => command.run(output).await,
        Command::Bench(command) => command.run(output).await,
        Command::Log(command) => command.run(context, output).await,
        Command::SupportBundle(command) => command.run(output).await,
        Command::Completions(command) => command.run(output),
        Command::Man(command) => command.run(output),
        Command::Errors(command) => command.run(output),
    }
}

/// The folder that `init` made, for commands that change the network.
#[derive(clap::Args, Clone)]
struct Folder {
    /// The folder that `liaison init` made.
    #[arg(long, default_value = "liaison", value_name = "FOLDER")]
    folder: PathBuf,
}
