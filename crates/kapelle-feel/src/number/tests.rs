use super::*;

fn n(text: &str) -> Number {
    text.parse().unwrap()
}

fn text(result: Option<Number>) -> String {
    result.map_or("none".to_owned(), |n| n.to_string())
}

#[test]
fn sums_keep_the_larger_scale() {
    assert_eq!(text(n("0.1").add(n("0.2"))), "0.3");
    assert_eq!(text(n("1.10").add(n("1"))), "2.10");
    assert_eq!(
        text(n("1e20").add(n("1e-10"))),
        "100000000000000000000.0000000001"
    );
    assert_eq!(
        text(n("1e40").add(n("1"))),
        "1.000000000000000000000000000000000E+40"
    );
    assert_eq!(
        text(n("1e33").sub(n("1e-40"))),
        "1000000000000000000000000000000000"
    );
    assert_eq!(
        text(n("1e34").sub(n("0.6"))),
        "9999999999999999999999999999999999"
    );
    assert_eq!(text(n("5").sub(n("5.00"))), "0.00");
}

#[test]
fn a_far_smaller_operand_still_breaks_a_tie() {
    // 34 digits ending in 5 tenths: exactly half would round to even, a grain more rounds up, a grain less down.
    let big = n("1e33").add(Number::ZERO).unwrap();
    assert_eq!(
        text(big.add(n("0.5"))),
        "1000000000000000000000000000000000"
    );
    let above = big.add(n("0.5000000000000000000000000000000001"));
    assert_eq!(text(above), "1000000000000000000000000000000001");
    assert_eq!(
        text(big.add(n("1.5"))),
        "1000000000000000000000000000000002"
    );
}

#[test]
fn products_round_half_even_at_34_digits() {
    assert_eq!(text(n("1.5").mul(n("1.50"))), "2.250");
    let nines = n("9999999999999999999999999999999999");
    assert_eq!(
        text(nines.mul(nines)),
        "9.999999999999999999999999999999998E+67"
    );
    assert_eq!(text(n("1e4000").mul(n("1e4000"))), "none");
    assert_eq!(text(n("1e-4000").mul(n("1e-4000"))), "0E-6176");
}

#[test]
fn quotients_are_exact_or_34_digits() {
    assert_eq!(text(n("10").div(n("4"))), "2.5");
    assert_eq!(
        text(n("1").div(n("3"))),
        "0.3333333333333333333333333333333333"
    );
    assert_eq!(
        text(n("2").div(n("3"))),
        "0.6666666666666666666666666666666667"
    );
    assert_eq!(text(n("100").div(n("0.01"))), "1.00E+4");
    assert_eq!(
        text(n("1").div(n("12345678901234567890123456789"))),
        "8.100000072900000663390006036857155E-29"
    );
    assert_eq!(text(n("1").div(n("0"))), "none");
}

#[test]
fn modulo_takes_the_sign_of_the_divisor() {
    assert_eq!(text(n("12").modulo(n("-5"))), "-3");
    assert_eq!(text(n("-12").modulo(n("5"))), "3");
    assert_eq!(text(n("-10.1").modulo(n("4.5"))), "3.4");
    assert_eq!(text(n("10.1").modulo(n("-4.5"))), "-3.4");
}

#[test]
fn order_ignores_the_scale() {
    assert_eq!(n("1.0"), n("1"));
    assert!(n("2") > n("1.9999999999999999999999999999999"));
    assert!(n("-2") < n("-1.5"));
    assert!(n("1e6000") > n("9999999999999999999999999999999999"));
    assert!(n("0e10") == n("0"));
    assert!(n("0.001") > n("0"));
}

#[test]
fn doubles_take_their_shortest_decimal() {
    for (double, expected) in [
        (0.1, "0.1"),
        (12.5, "12.5"),
        (1e300, "1E+300"),
        (5e-324, "5E-324"),
        (-0.0, "0"),
    ] {
        assert_eq!(text(Number::from_f64(double)), expected);
    }
    assert_eq!(text(Number::from_f64(1.0 / 3.0)), "0.3333333333333333");
    assert_eq!(text(Number::from_f64(f64::NAN)), "none");
    for value in [
        0.1,
        1.0 / 3.0,
        123_456.789,
        1e22,
        2f64.powi(60),
        5e-324,
        f64::MAX,
    ] {
        assert_eq!(Number::from_f64(value).unwrap().to_f64(), value);
    }
}

#[test]
fn text_is_read_as_a_decimal_or_refused() {
    for bad in [
        "", "-", ".", "1.", "1e", "1e+", "0x1", "1_000", " 1", "1 ", "--1", "1e99999", "١",
    ] {
        assert!(bad.parse::<Number>().is_err(), "{bad:?} was read");
    }
    assert_eq!(n(".5").to_string(), "0.5");
    assert_eq!(n("1e-99999").to_string(), "0E-6176");
    assert_eq!(
        n(&"9".repeat(100)).to_string(),
        "1.000000000000000000000000000000000E+100"
    );
    assert_eq!(
        n("12345678901234567890123456789012345").to_string(),
        "1.234567890123456789012345678901234E+34"
    );
}

#[test]
fn rounding_follows_its_mode() {
    let round = |value: &str, scale, mode| text(n(value).round(scale, mode));
    assert_eq!(round("-1.56", 1, Rounding::Floor), "-1.6");
    assert_eq!(round("-1.56", 1, Rounding::Ceiling), "-1.5");
    assert_eq!(round("2.5", 0, Rounding::HalfEven), "2");
    assert_eq!(round("2.5", 0, Rounding::HalfUp), "3");
    assert_eq!(round("2.5", 0, Rounding::Unnecessary), "none");
    assert_eq!(round("1234", -2, Rounding::HalfUp), "1.2E+3");
    assert_eq!(round("1e-6000", 0, Rounding::Ceiling), "1");
    assert_eq!(round("9.99", 1, Rounding::HalfUp), "10.0");
}

#[test]
fn powers_are_exact_for_whole_exponents() {
    assert_eq!(text(n("2").pow(n("10"))), "1024");
    assert_eq!(text(n("1.1").pow(n("2"))), "1.21");
    assert_eq!(text(n("2").pow(n("-2"))), "0.25");
    assert_eq!(text(n("4").pow(n("0.5"))), "2");
    assert_eq!(text(n("0").pow(n("-1"))), "none");
    assert_eq!(text(n("-1").pow(n("0.5"))), "none");
    assert_eq!(text(n("10").pow(n("999999999"))), "none");
}

#[test]
fn integers_are_recognised_in_every_scale() {
    assert_eq!(n("2.00").to_i64(), Some(2));
    assert_eq!(n("2e3").to_i64(), Some(2000));
    assert_eq!(n("2.5").to_i64(), None);
    assert_eq!(n("1e30").to_i64(), None);
    assert_eq!(n("-9223372036854775808").to_i64(), Some(i64::MIN));
}
