//! The handlers. A step is a side effect whose result is journalled: what a job's completion is to a process engine.

use std::net::SocketAddr;
use std::process::ExitCode;

use restate_sdk::prelude::*;

/// The promise that a message resolves.
const MESSAGE: &str = "message";

struct Steps;

#[service]
impl Steps {
    #[handler]
    async fn none(&self, _ctx: Context<'_>, _payload: Vec<u8>) -> HandlerResult<()> {
        Ok(())
    }

    #[handler]
    async fn one(&self, ctx: Context<'_>, _payload: Vec<u8>) -> HandlerResult<()> {
        ctx.run(|| async { Ok(()) }).await?;
        Ok(())
    }

    #[handler]
    async fn ten(&self, ctx: Context<'_>, _payload: Vec<u8>) -> HandlerResult<()> {
        for _ in 0..10 {
            ctx.run(|| async { Ok(()) }).await?;
        }
        Ok(())
    }
}

struct Waiting;

#[workflow]
impl Waiting {
    #[handler]
    async fn run(&self, ctx: WorkflowContext<'_>, _payload: Vec<u8>) -> HandlerResult<()> {
        ctx.promise::<String>(MESSAGE).await?;
        Ok(())
    }

    #[handler]
    async fn publish(&self, ctx: SharedWorkflowContext<'_>) -> HandlerResult<()> {
        ctx.resolve_promise::<String>(MESSAGE, "arrived".to_owned());
        Ok(())
    }
}

pub(crate) fn serve(address: SocketAddr) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let endpoint = Endpoint::builder().bind(Steps).bind(Waiting).build();
    runtime.block_on(HttpServer::new(endpoint).listen_and_serve(address));
    ExitCode::SUCCESS
}
