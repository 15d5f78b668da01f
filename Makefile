# `make run` measures this machine; `make test` runs every test. Both set up what they need.
BIN := .venv/bin

.PHONY: help run venv dev packages check fix test unit system bench catalogue-report clean

help:            ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: venv        ## measure this machine and show the result (make run ARGS="-p 1-1024")
	@sh tools/run.sh $(ARGS)

venv:            ## .venv with ReconShield
	@sh tools/venv.sh

dev:             ## .venv with the development tools
	@sh tools/venv.sh dev

packages:        ## Debian packages for the system tests (as root), else the list of what is missing
	@sh tools/packages.sh

check: dev       ## lint, format, types, import contract, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m reconshield.knowledge.catalog
	$(BIN)/python tools/generated.py --check

fix: dev         ## format, mend what can be mended, write the generated files again
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/generated.py

test: unit system ## every test: first the quick ones, then the system tests

unit: dev        ## only the quick tests (no root, about two minutes)
	$(BIN)/pytest -q -n 4 -m "not system"

# Three files at a time, for most of them wait; then, alone, what measures a rate or needs its answers in time.
system: dev packages ## only the tests with root, namespaces and real servers
	$(BIN)/pytest -q -n 3 --dist=loadfile -m "system and not quiet" -rs
	$(BIN)/pytest -q -m quiet -rs

bench: dev packages ## benchmarks against peers, ratios printed (as root)
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

catalogue-report: dev ## how much the catalogue says: entries, claims, sources, boilerplate, by cluster
	@$(BIN)/python -m reconshield.knowledge.census

clean:           ## remove everything that was made
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
