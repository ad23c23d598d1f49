//! The builder, the reader, and a server that is not there.

use expect_test::expect;

use super::*;

#[test]
fn an_object_is_built_as_json_in_the_order_of_its_members() {
    let object = Object::new()
        .text("name", "a \"b\"")
        .number("n", -3)
        .flag("yes", true)
        .object("inner", Object::new())
        .texts("list", ["x", "y"])
        .raw("raw", "[1]");
    expect![[r#"{"name":"a \"b\"","n":-3,"yes":true,"inner":{},"list":["x","y"],"raw":[1]}"#]]
        .assert_eq(&object.into_text());
}

#[test]
fn a_document_is_read_by_member() {
    let document =
        Document::parse(br#"{"key":"7","items":[{"n":1},{"n":2}],"flag":false,"none":null}"#)
            .unwrap();
    assert_eq!(document.text("key"), Some("7"));
    assert_eq!(document.flag("flag"), Some(false));
    let numbers: Vec<_> = document
        .list("items")
        .iter()
        .map(|item| item.number("n"))
        .collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert_eq!(document.text("absent"), None);
    assert_eq!(document.list("key").len(), 0);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    // Bound and dropped: nobody else is given this port so soon.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::new(&format!("http://127.0.0.1:{port}")).unwrap();
    let error = client.get("/v2/topology").await.unwrap_err();
    assert!(error.is_unreachable());
    assert!(error.why().contains("refused"), "{}", error.why());
}
