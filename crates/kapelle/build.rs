//! Compiles `proto/gateway.proto` without a system `protoc`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("../../proto");
    println!("cargo::rerun-if-changed=../../proto/gateway.proto");
    let descriptors = protox::compile([folder.join("gateway.proto")], [folder])?;
    tonic_prost_build::configure()
        // Without the transport: we serve over our own listeners, and the tests bring their channel.
        .build_transport(false)
        // Deployed files arrive as slices of the received buffer instead of copies.
        .bytes(".gateway_protocol")
        .compile_fds(descriptors)?;
    Ok(())
}
