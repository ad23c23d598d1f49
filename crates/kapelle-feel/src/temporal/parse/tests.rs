use super::*;

fn literal(text: &str) -> String {
    parse_literal(text).map_or("none".to_owned(), |value| {
        format!("{} {value}", value.type_name())
    })
}

#[test]
fn literals_are_recognised_by_their_form() {
    let cases = [
        ("2024-02-29", "date 2024-02-29"),
        ("2023-02-29", "none"),
        ("-0044-03-15", "date -0044-03-15"),
        ("999999999-12-31", "date 999999999-12-31"),
        ("02024-01-01", "none"),
        ("23:59", "time 23:59:00"),
        ("T23:59:00.120+01:00", "time 23:59:00.12+01:00"),
        ("24:00:00", "none"),
        ("2024-12-31T24:00:00Z", "date and time 2025-01-01T00:00:00Z"),
        ("+99999-01-01", "none"),
        ("10:00:00@Europe/Berlin", "time 10:00:00@Europe/Berlin"),
        ("10:00:00+19:00", "none"),
        ("2023-06-14T14:55:00", "date and time 2023-06-14T14:55:00"),
        ("2023-06-14T14:55:00Z", "date and time 2023-06-14T14:55:00Z"),
        (
            "2023-06-14T14:55:00@Europe/Berlin",
            "date and time 2023-06-14T14:55:00@Europe/Berlin",
        ),
        (
            "2023-06-14T14:55:00+02:00[Europe/Berlin]",
            "date and time 2023-06-14T14:55:00@Europe/Berlin",
        ),
        ("2023-06-14T14:55:00@Middle/Earth", "none"),
        ("P1DT2H3M4.5S", "days and time duration P1DT2H3M4.5S"),
        ("-PT25H", "days and time duration -P1DT1H"),
        ("PT-5M", "days and time duration -PT5M"),
        ("P14M", "years and months duration P1Y2M"),
        ("P0Y", "years and months duration P0Y"),
        ("P1Y2D", "none"),
        ("PT", "none"),
        ("P", "none"),
        ("PT1M1H", "none"),
        ("P99999999999999999999D", "none"),
    ];
    for (text, expected) in cases {
        assert_eq!(literal(text), expected, "{text}");
    }
}

#[test]
fn a_skipped_time_moves_on_and_a_repeated_one_is_the_first() {
    let at = |text: &str| text.parse::<DateTime>().unwrap().to_iso_string();
    assert_eq!(
        at("2024-03-31T02:30:00@Europe/Berlin"),
        "2024-03-31T03:30:00+02:00[Europe/Berlin]"
    );
    assert_eq!(
        at("2024-10-27T02:30:00@Europe/Berlin"),
        "2024-10-27T02:30:00+02:00[Europe/Berlin]"
    );
    assert_eq!(
        at("2024-01-01T00:00:00@America/New_York"),
        "2024-01-01T00:00:00-05:00[America/New_York]"
    );
    assert_eq!(
        at("2099-07-01T00:00:00@Australia/Sydney"),
        "2099-07-01T00:00:00+10:00[Australia/Sydney]"
    );
    assert_eq!(
        at("2099-01-01T00:00:00@Australia/Sydney"),
        "2099-01-01T00:00:00+11:00[Australia/Sydney]"
    );
    assert_eq!(
        at("1900-01-01T00:00:00@Asia/Tokyo"),
        "1900-01-01T00:00:00+09:00[Asia/Tokyo]"
    );
}

#[test]
fn every_day_comes_back_from_its_number() {
    for days in (-1_000_000..1_000_000).step_by(37) {
        let date = Date::from_epoch_days(days).unwrap();
        assert_eq!(date.epoch_days(), days);
        assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
    }
    assert_eq!("2000-01-01".parse::<Date>().unwrap().weekday(), 6);
}
