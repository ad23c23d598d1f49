//! `kapelle events explain` against the real binary: each kind of near miss that a person asks about.

use crate::http;
use crate::models;
use crate::program::Place;
use crate::server::Server;

/// Instances of `w` wait for `paid`.
struct Shop {
    server: Server,
    place: Place,
    events: u32,
}

impl Shop {
    fn new(config: &str) -> Self {
        let server = Server::start_with(config);
        http::must_deploy(&server.rest, "w.bpmn", &models::message_wait("w"));
        Self {
            server,
            place: Place::new(),
            events: 0,
        }
    }

    /// One that waits with that key, a JSON value.
    fn wait_for(&self, key: &str) -> String {
        let body = format!(r#"{{"processDefinitionId":"w","variables":{{"order":{key}}}}}"#);
        let answer = http::post(&self.server.rest, "/v2/process-instances", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.member("processInstanceKey")
    }

    fn cancel(&self, instance: &str) {
        let path = format!("/v2/process-instances/{instance}/cancellation");
        assert_eq!(http::post(&self.server.rest, &path, "{}").status, 204);
    }

    /// A CloudEvent `paid` comes and meets nobody; its id.
    fn pay(&mut self, subject: &str) -> String {
        self.events += 1;
        let id = self.events.to_string();
        let event = ["--type", "paid", "--source", "/shop", "--id", &id];
        self.run(&[&["events", "send", "--subject", subject], &event[..]].concat());
        id
    }

    /// A person is told of one near miss, so and of that instance.
    #[track_caller]
    fn assert_told(&self, id: &str, kind: &str, instance: &str, text: &str) {
        let told = self.explain(id, &[]);
        assert!(
            told.contains(&format!("{kind} an instance of w ")),
            "no {kind} in\n{told}"
        );
        assert!(told.contains(text), "no {text} in\n{told}");
        assert_eq!(told.matches("an instance of w ").count(), 1, "{told}");
        assert!(told.contains("\nhint: "), "{told}");
        let json = self.explain(id, &["--output", "json"]);
        assert!(json.contains(instance), "no {instance} in {json}");
    }

    fn explain(&self, id: &str, more: &[&str]) -> String {
        self.run(&[&["events", "explain", id, "--source", "/shop"], more].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        let address = [("KAPELLE_ADDRESS", self.server.rest.as_str())];
        let ended = self.place.run_with(arguments, &address, "");
        assert_eq!(ended.code, 0, "{arguments:?}\n{}", ended.text());
        ended.stdout
    }
}

#[test]
fn the_same_message_with_another_key() {
    let mut shop = Shop::new("");
    let waiting = shop.wait_for("\"A-1001\"");
    let alike = shop.pay("A-1010");
    let only = "waits for paid with key \"A-1001\": only a letter or two differ";
    shop.assert_told(&alike, "KEY_SIMILAR", &waiting, only);
    let unlike = shop.pay("somebody else");
    let other = "waits for paid with key \"A-1001\": another key";
    shop.assert_told(&unlike, "OTHER_KEY", &waiting, other);
}

#[test]
fn a_key_of_another_type_or_case() {
    let mut shop = Shop::new("");
    let number = shop.wait_for("1001");
    let text = shop.pay("1001");
    let types = "with key \"1001\": one key is a number and the other one a text";
    shop.assert_told(&text, "KEY_TYPE", &number, types);
    shop.cancel(&number);
    let upper = shop.wait_for("\"ORDER-7\"");
    let lower = shop.pay("order-7");
    let case = "with key \"ORDER-7\": the case differs";
    shop.assert_told(&lower, "KEY_CASE", &upper, case);
}

#[test]
fn too_late_for_an_instance_that_has_ended() {
    let mut shop = Shop::new("");
    let gone = shop.wait_for("\"A-1001\"");
    shop.cancel(&gone);
    let late = shop.pay("A-1001");
    let until = "waited for paid with key \"A-1001\" until ";
    shop.assert_told(&late, "TOO_LATE", &gone, until);
    let told = shop.explain(&late, &[]);
    assert!(
        told.contains(" before the event came (TERMINATED)"),
        "{told}"
    );
}

#[test]
fn too_early_for_an_instance_that_was_not_there_yet() {
    // Nothing waits in the buffer, else the event would be met after all.
    let mut shop = Shop::new("[events]\ntime-to-live = \"0s\"\n");
    let early = shop.pay("A-1001");
    let later = shop.wait_for("\"A-1001\"");
    let began = "began to wait for paid with key \"A-1001\"";
    shop.assert_told(&early, "NOT_YET", &later, began);
}
