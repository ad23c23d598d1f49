//! Makes the gateway's client from the same protocol text that the server is made from.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../proto/gateway.proto");
    let descriptors = protox::compile(["gateway.proto"], ["../../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
