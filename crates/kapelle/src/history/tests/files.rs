//! Database files that are damaged, of another release, or of another journal.

use super::*;
use crate::history::Error;
use crate::history::schema::Opened;

impl Dir {
    fn has_aside(&self) -> bool {
        self.0.join("history.db.damaged").exists()
    }

    /// A database that stands at record 7.
    fn filled(name: &str) -> Self {
        let dir = Self::new(name);
        let Opened {
            connection,
            position,
            ..
        } = schema::open_or_remake(&dir.database(), Sequence(0)).unwrap();
        assert_eq!(position, Sequence(0));
        connection
            .execute("UPDATE meta SET value = 7 WHERE name = 'position'", [])
            .unwrap();
        dir
    }
}

#[test]
fn a_sound_file_is_opened_at_its_position() {
    let dir = Dir::filled("sound");
    let Opened { position, .. } = schema::open_or_remake(&dir.database(), Sequence(7)).unwrap();
    assert_eq!(position, Sequence(7));
    assert!(!dir.has_aside());
}

#[test]
fn a_damaged_file_is_put_aside_and_made_anew() {
    let dir = Dir::filled("damaged");
    std::fs::write(
        dir.database(),
        "this is no database, and long enough to be looked at as one: ".repeat(40),
    )
    .unwrap();
    let Opened {
        connection,
        position,
        ..
    } = schema::open_or_remake(&dir.database(), Sequence(7)).unwrap();
    assert_eq!(position, Sequence(0));
    assert!(dir.has_aside());
    connection
        .execute("INSERT INTO instance (key) VALUES (1)", [])
        .unwrap();
}

#[test]
fn a_file_that_is_ahead_of_the_journal_belongs_to_another_one() {
    let dir = Dir::filled("ahead");
    let Opened { position, .. } = schema::open_or_remake(&dir.database(), Sequence(6)).unwrap();
    assert_eq!(position, Sequence(0));
    assert!(dir.has_aside());
}

#[test]
fn an_older_file_is_made_anew() {
    let dir = Dir::filled("older");
    Connection::open(dir.database())
        .unwrap()
        .pragma_update(None, "user_version", 1)
        .unwrap();
    let Opened { position, .. } = schema::open_or_remake(&dir.database(), Sequence(7)).unwrap();
    assert_eq!(position, Sequence(0));
    assert!(dir.has_aside());
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let dir = Dir::filled("newer");
    Connection::open(dir.database())
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = schema::open_or_remake(&dir.database(), Sequence(7))
        .err()
        .unwrap();
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().starts_with("KAP-HIS-01: "), "{error}");
    assert!(!dir.has_aside());
    assert!(dir.database().exists());
}
