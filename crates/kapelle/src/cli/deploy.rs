//! `kapelle deploy`: the files as one multipart request, one deployment, all or none.

use std::path::{Path, PathBuf};

use hyper::Method;

use super::args::{Deploy, Format};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::{Body, Client, Document};

const COLUMNS: Columns = &[
    ("DEFINITION", "processDefinitionKey"),
    ("PROCESS", "processDefinitionId"),
    ("VERSION", "processDefinitionVersion"),
    ("RESOURCE", "resourceName"),
];

pub(crate) async fn deploy(args: Deploy, output: Output) -> Result<(), Failure> {
    let files = read(&args.files)?;
    let deployed = send(&args.remote.client()?, &files).await?;
    if output.format == Format::Json {
        return output.data(&deployed.pretty());
    }
    let of_process = |item: Document| {
        item.child("processDefinition")
            .filter(|it| it.get("processDefinitionKey").is_some())
    };
    let items: Vec<Document> = deployed
        .list("deployments")
        .into_iter()
        .filter_map(of_process)
        .collect();
    output.items(&items, COLUMNS)
}

fn read(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let named = |path: &Path| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.contains(['"', '\r', '\n']) {
            return Err(Failure::usage(format!(
                "{name:?} cannot be sent as a file name"
            )));
        }
        Ok((name, input::read(path)?))
    };
    paths.iter().map(|path| named(path)).collect()
}

/// Deploys files that are in memory already.
pub(crate) async fn send(
    client: &Client,
    files: &[(String, Vec<u8>)],
) -> Result<Document, crate::client::Error> {
    let boundary = boundary(files);
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"resources\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let body = Body {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        bytes: body.into(),
    };
    client
        .call(Method::POST, "/v2/deployments", Some(body))
        .await
}

/// A line that no file contains.
fn boundary(files: &[(String, Vec<u8>)]) -> String {
    let taken = |text: &str| {
        files.iter().any(|(_, bytes)| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    };
    let mut boundary = String::from("kapelle");
    while taken(&boundary) {
        boundary.push('-');
    }
    boundary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_in_none_of_the_files() {
        let file = |text: &str| ("a".to_owned(), text.as_bytes().to_vec());
        assert_eq!(boundary(&[file("<x/>")]), "kapelle");
        assert_eq!(boundary(&[file("kapelle-"), file("x")]), "kapelle--");
    }
}
