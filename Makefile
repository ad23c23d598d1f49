# Two commands: `make demo` shows Kapelle alive, `make test` proves it. Everything else is `cargo xtask help`.

.PHONY: demo test build prove help

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: ## Run the product on its embedded default with a living example (DEMO="--for 20s" for arguments)
	cargo run --release --locked --package kapelle -- demo $(DEMO)

test: ## Set up what the tests need and run all of them
	cargo xtask ci

build: ## Build the release binary: target/release/kapelle
	cargo build --release --locked --package kapelle

prove: ## Long campaigns: an hour of the simulator, its mutants, five minutes of fuzzing a target, hundreds of deaths, a two-hour soak
	cargo xtask sim --minutes 60
	cargo xtask sim --mutants
	cargo xtask fuzz --self-test
	cargo xtask fuzz --seconds 300
	cargo xtask stress
	cargo xtask stress overload
	cargo xtask stress soak --minutes 120
