//! What may be typed. Only shapes and help texts; what it means is decided in the command's own file.

mod connectors;
mod subscribers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use connectors::{OneConnector, Sinks, SinksCommand, Sources, SourcesCommand};
pub(crate) use subscribers::{
    Dead, DeadCommand, PutSubscriber, SettleDead, Subscribers, SubscribersCommand, TryFilter,
};

/// Examples come first: most people look for the one line that does it.
const TEMPLATE: &str =
    "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

#[derive(Debug, Parser)]
#[command(
    name = "kapelle",
    about = "Kapelle runs event-driven business processes: one binary, BPMN and CloudEvents, Camunda 8 clients welcome.",
    before_help = "Examples:\n  kapelle demo                              see it work\n  kapelle serve --data ./data               run a server\n  kapelle deploy order.bpmn                 bring a process\n  kapelle run order --variables '{\"id\":1}'   start it\n  kapelle events tail --follow              watch what events come to\n",
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 unreachable, 4 not allowed, 5 not found, 6 timeout, 130 interrupted.",
    help_template = TEMPLATE,
    disable_help_subcommand = true,
    disable_version_flag = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", help_heading = "Everywhere")]
    pub(crate) color: Color,
    /// How to print data: table for people, json for programs, name for keys alone
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT", help_heading = "Everywhere")]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    // On a terminal, unless NO_COLOR is set. Plain comments: clap would spread each help page over two screens.
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Name,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server
    #[command(before_help = "Examples:\n  kapelle serve --data ./data\n  kapelle serve --config kapelle.toml --port auto\n", help_template = TEMPLATE)]
    Serve(Serve),
    /// Run a server with a living example in it
    #[command(before_help = "Examples:\n  kapelle demo\n  kapelle demo --for 20s --rate 10 --seed 7\n  kapelle demo --keep ./demo-data\n", help_template = TEMPLATE)]
    Demo(Demo),
    /// Deploy models
    #[command(before_help = "Examples:\n  kapelle deploy order.bpmn\n  kapelle deploy models/*.bpmn --output json\n", help_template = TEMPLATE)]
    Deploy(Deploy),
    /// Start a process instance
    #[command(before_help = "Examples:\n  kapelle run order --variables '{\"orderId\":\"A-1\"}'\n  kapelle run order --variables @order.json --wait --timeout 30s\n", help_template = TEMPLATE)]
    Run(Run),
    /// List process instances, definitions, jobs, incidents, variables or elements
    #[command(before_help = "Examples:\n  kapelle list pi --state ACTIVE\n  kapelle list jobs --type charge-card\n  kapelle list variables --instance 2251799813685255\n  kapelle list inc --output json\n", help_template = TEMPLATE)]
    List(List),
    /// Show one resource
    #[command(before_help = "Examples:\n  kapelle get pi 2251799813685255\n  kapelle get incident 2251799813685301 --output json\n", help_template = TEMPLATE)]
    Get(Get),
    /// Cancel process instances
    #[command(before_help = "Examples:\n  kapelle cancel 2251799813685255\n  kapelle list pi --process order --output name | xargs kapelle cancel\n", help_template = TEMPLATE)]
    Cancel(Keys),
    /// Publish a message
    #[command(before_help = "Examples:\n  kapelle publish payment-received --key A-1 --variables '{\"paid\":true}'\n  kapelle publish payment-received --key A-1 --ttl 1h\n", help_template = TEMPLATE)]
    Publish(Publish),
    /// Resolve incidents
    #[command(before_help = "Examples:\n  kapelle resolve 2251799813685301 --retries 3\n", help_template = TEMPLATE)]
    Resolve(Resolve),
    /// Complete a job
    #[command(before_help = "Examples:\n  kapelle complete 2251799813685270 --variables '{\"paid\":true}'\n", help_template = TEMPLATE)]
    Complete(Complete),
    /// Fail a job
    #[command(before_help = "Examples:\n  kapelle fail 2251799813685270 --retries 2 --message 'card reader is down' --backoff 10s\n", help_template = TEMPLATE)]
    Fail(Fail),
    /// Work on jobs with any program: variables as JSON on its standard input, results from its standard output
    #[command(before_help = "Examples:\n  kapelle worker --type charge-card -- ./charge.sh\n  kapelle worker --type greet --max 1 -- jq '{greeting: (\"hello \" + .name)}'\n", help_template = TEMPLATE)]
    Worker(Worker),
    /// Send CloudEvents, and see what they came to
    #[command(before_help = "Examples:\n  kapelle events send --type order.placed --source /shop --subject A-1 --data '{\"total\":80}'\n  kapelle events tail --follow\n  kapelle events explain 4711\n", help_template = TEMPLATE)]
    Events(Events),
    /// Subscribers: who gets which CloudEvents, and how far each has come
    #[command(before_help = "Examples:\n  kapelle subscribers list\n  kapelle subscribers put loyalty loyalty.json\n  kapelle subscribers try loyalty --last 20\n  kapelle subscribers pause loyalty\n", help_template = TEMPLATE)]
    Subscribers(Subscribers),
    /// Dead letters: CloudEvents that a subscriber could not be given
    #[command(before_help = "Examples:\n  kapelle dead list\n  kapelle dead redrive loyalty 4711 4712\n  kapelle dead discard loyalty 4711 --reason 'sent by mistake'\n", help_template = TEMPLATE)]
    Dead(Dead),
    /// Sources: where CloudEvents come from, and how much waits there
    #[command(before_help = "Examples:\n  kapelle sources list\n  kapelle sources test orders\n  kapelle sources pause orders\n", help_template = TEMPLATE)]
    Sources(Sources),
    /// Sinks: where CloudEvents go
    #[command(before_help = "Examples:\n  kapelle sinks list\n  kapelle sinks test partner\n", help_template = TEMPLATE)]
    Sinks(Sinks),
    /// Evaluate FEEL
    #[command(before_help = "Examples:\n  kapelle feel eval 'total * 1.19' --variables '{\"total\":80}'\n  kapelle feel eval --unary '> 10, 3' --input 12\n", help_template = TEMPLATE)]
    Feel(Feel),
    /// Check models without a server
    #[command(before_help = "Examples:\n  kapelle check order.bpmn\n  kapelle check models/*.bpmn --output json\n", help_template = TEMPLATE)]
    Check(Check),
    /// Tell whether a server is there and well
    #[command(before_help = "Examples:\n  kapelle status\n  kapelle status --address http://localhost:8080 --output json\n", help_template = TEMPLATE)]
    Status(Remote),
    /// Show or check the configuration
    #[command(before_help = "Examples:\n  kapelle config show --origin\n  kapelle config check --config kapelle.toml\n", help_template = TEMPLATE)]
    Config(Config),
    /// Print completions for a shell
    #[command(before_help = "Examples:\n  kapelle completion bash > /etc/bash_completion.d/kapelle\n  kapelle completion fish > ~/.config/fish/completions/kapelle.fish\n", help_template = TEMPLATE)]
    Completion {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(before_help = "Examples:\n  kapelle version\n  kapelle version --output json\n", help_template = TEMPLATE)]
    Version,
}

/// Which server a command talks to.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Remote {
    /// The server's REST address; else KAPELLE_ADDRESS, CAMUNDA_REST_ADDRESS, ZEEBE_REST_ADDRESS, http://localhost:8080
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub(crate) address: Option<String>,
    /// Certificates of a private authority to trust (PEM); else KAPELLE_CA_FILE
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The file that holds a bearer token; else KAPELLE_TOKEN, KAPELLE_TOKEN_FILE
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub(crate) token_file: Option<PathBuf>,
    /// Sign in by name, with the password in KAPELLE_PASSWORD; else KAPELLE_USER, CAMUNDA_BASIC_AUTH_USERNAME
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Server",
        conflicts_with = "token_file"
    )]
    pub(crate) user: Option<String>,
    /// The file that holds the password; else KAPELLE_PASSWORD_FILE
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Server",
        conflicts_with = "token_file"
    )]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

/// Where to listen: over the configuration.
#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// `auto`: take any free ports and say which
    #[arg(long, value_parser = ["auto"])]
    pub(crate) port: Option<String>,
    /// REST API and events [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) rest_address: Option<String>,
    /// Zeebe gRPC gateway [default: 127.0.0.1:26500]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) grpc_address: Option<String>,
    /// Probes and metrics [default: 127.0.0.1:9600]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) management_address: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End by itself after this time, with a summary
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lasting: Option<String>,
    /// Orders a second
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    pub(crate) rate: f64,
    /// The same seed gives the same orders
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub(crate) seed: u64,
    /// Keep the data here instead of removing it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// BPMN files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Id of the process, or key of a definition
    #[arg(value_name = "PROCESS")]
    pub(crate) process: String,
    /// JSON object, or @FILE (@- is standard input)
    #[arg(long, short, value_name = "JSON|@FILE")]
    pub(crate) variables: Option<String>,
    /// This version instead of the latest
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<i64>,
    /// Wait for the end and print the variables
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub(crate) timeout: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// What can be listed, with the short names of Camunda's `c8ctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    #[value(name = "process-instances", aliases = ["process-instance", "pi", "instances", "instance"])]
    ProcessInstances,
    #[value(name = "process-definitions", aliases = ["process-definition", "pd", "processes", "process", "definitions"])]
    ProcessDefinitions,
    #[value(name = "jobs", aliases = ["job"])]
    Jobs,
    #[value(name = "incidents", aliases = ["incident", "inc"])]
    Incidents,
    #[value(name = "variables", aliases = ["variable", "vars", "var"])]
    Variables,
    #[value(name = "elements", aliases = ["element", "ei", "element-instances", "element-instance"])]
    Elements,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to list; pi, pd, inc, vars and ei are short for it
    #[arg(value_enum, value_name = "KIND")]
    pub(crate) kind: Kind,
    /// Of this process
    #[arg(long, value_name = "ID")]
    pub(crate) process: Option<String>,
    /// Of this process instance
    #[arg(long, value_name = "KEY")]
    pub(crate) instance: Option<String>,
    /// In this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// Jobs of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) job_type: Option<String>,
    /// Any member of the search filter; may be repeated
    #[arg(long = "filter", value_name = "MEMBER=VALUE")]
    pub(crate) filters: Vec<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What it is
    #[arg(value_enum, value_name = "KIND")]
    pub(crate) kind: Kind,
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// Keys; the word `pi` before them is allowed
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Name of the message
    pub(crate) name: String,
    /// Correlation key
    #[arg(long, default_value = "", value_name = "KEY")]
    pub(crate) key: String,
    /// JSON object, or @FILE (@- is standard input)
    #[arg(long, short, value_name = "JSON|@FILE")]
    pub(crate) variables: Option<String>,
    /// How long it waits for a receiver
    #[arg(long, default_value = "0s", value_name = "TIME")]
    pub(crate) ttl: String,
    /// Refuses a second message with this id while the first is buffered
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// Keys of incidents; the word `inc` before them is allowed
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// First give the incident's job so many retries
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<i32>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Complete {
    /// Key of the job; the word `job` before it is allowed
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// JSON object, or @FILE (@- is standard input)
    #[arg(long, short, value_name = "JSON|@FILE")]
    pub(crate) variables: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Fail {
    /// Key of the job; the word `job` before it is allowed
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// How many tries are left; 0 raises an incident
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) retries: i32,
    /// Why
    #[arg(long, default_value = "failed by hand", value_name = "TEXT")]
    pub(crate) message: String,
    /// Wait before the next try
    #[arg(long, default_value = "0s", value_name = "TIME")]
    pub(crate) backoff: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Type of the jobs
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) job_type: String,
    /// Name of the worker, as the server shows it
    #[arg(long, default_value = "kapelle-worker", value_name = "NAME")]
    pub(crate) name: String,
    /// Jobs at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) concurrency: u32,
    /// After this time the server gives a job to another worker
    #[arg(long, default_value = "5m", value_name = "TIME")]
    pub(crate) timeout: String,
    /// Wait before a failed job is tried again
    #[arg(long, default_value = "0s", value_name = "TIME")]
    pub(crate) backoff: String,
    /// Only these variables, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) fetch: Vec<String>,
    /// End after so many jobs
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,
    /// The program and its arguments; exit code 0 completes the job, 100 throws the BPMN error that it printed, any other fails it
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) program: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(subcommand)]
    pub(crate) command: EventsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Send a CloudEvent: from a file in the JSON format, or made of the options
    #[command(before_help = "Examples:\n  kapelle events send order.json\n  kapelle events send --type order.placed --source /shop --subject A-1 --data '{\"total\":80}'\n", help_template = TEMPLATE)]
    Send(Send),
    /// List the latest events with their outcomes
    #[command(before_help = "Examples:\n  kapelle events tail --follow\n  kapelle events tail --outcome NO_MATCH,KEY_ERROR --limit 50\n", help_template = TEMPLATE)]
    Tail(Tail),
    /// Show one event with its data
    #[command(before_help = "Examples:\n  kapelle events show 4711\n", help_template = TEMPLATE)]
    Show(OneEvent),
    /// Explain why an event came to its outcome, and what it nearly met
    #[command(before_help = "Examples:\n  kapelle events explain 4711\n  kapelle events explain o-1001 --source /shop\n", help_template = TEMPLATE)]
    Explain(OneEvent),
    /// Show what caused an event and what it caused: events, processes, jobs and subscribers as a tree
    #[command(before_help = "Examples:\n  kapelle events trace 4711\n  kapelle events trace o-1001 --source /shop --output json\n", help_template = TEMPLATE)]
    Trace(OneEvent),
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// A CloudEvent, or a list of them, in the JSON format (- is standard input)
    #[arg(value_name = "FILE", conflicts_with_all = ["event_type", "source", "subject", "id", "data", "extensions"])]
    pub(crate) file: Option<PathBuf>,
    /// Type
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "file")]
    pub(crate) event_type: Option<String>,
    /// Source [default: /kapelle/cli]
    #[arg(long, value_name = "URI")]
    pub(crate) source: Option<String>,
    /// Subject: the correlation key, unless the model says otherwise
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Id; a new one each time if not given
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// JSON, or @FILE (@- is standard input)
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) data: Option<String>,
    /// An extension attribute; may be repeated
    #[arg(long = "ext", value_name = "NAME=VALUE")]
    pub(crate) extensions: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Go on with what arrives
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Of this type; may end in *
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// From this source
    #[arg(long, value_name = "URI")]
    pub(crate) source: Option<String>,
    /// With this subject
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// With one of these outcomes, separated by commas
    #[arg(long, value_name = "OUTCOMES")]
    pub(crate) outcome: Option<String>,
    /// `in` arrived, `out` was published by a process
    #[arg(long, value_parser = ["in", "out"])]
    pub(crate) direction: Option<String>,
    /// Only what came after this position
    #[arg(long, value_name = "POSITION")]
    pub(crate) since: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct OneEvent {
    /// Position of the event, as `tail` shows it, or its id
    #[arg(value_name = "POSITION|ID")]
    pub(crate) event: String,
    /// Source of the event, when its id is given
    #[arg(long, value_name = "URI")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Feel {
    #[command(subcommand)]
    pub(crate) command: FeelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FeelCommand {
    /// Evaluate an expression, or unary tests, and print the result as JSON
    #[command(before_help = "Examples:\n  kapelle feel eval 'sum(items.price)' --variables @order.json\n  kapelle feel eval --unary '> 10' --input 12\n", help_template = TEMPLATE)]
    Eval(Eval),
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// The expression; a leading = is allowed
    #[arg(value_name = "EXPRESSION")]
    pub(crate) expression: String,
    /// JSON object, or @FILE (@- is standard input)
    #[arg(long, short, value_name = "JSON|@FILE")]
    pub(crate) variables: Option<String>,
    /// Evaluate unary tests instead
    #[arg(long, requires = "input")]
    pub(crate) unary: bool,
    /// What the unary tests look at, JSON
    #[arg(long, value_name = "JSON", requires = "unary")]
    pub(crate) input: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// BPMN files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in effect
    #[command(before_help = "Examples:\n  kapelle config show --origin\n", help_template = TEMPLATE)]
    Show {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the manual of all keys
    #[command(before_help = "Examples:\n  kapelle config reference | less\n", help_template = TEMPLATE)]
    Reference,
    /// Tell whether the configuration is valid
    #[command(before_help = "Examples:\n  kapelle config check --config kapelle.toml\n", help_template = TEMPLATE)]
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}
