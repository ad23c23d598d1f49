//! FEEL in the feel-scala dialect: values, parser, evaluator, built-ins.
