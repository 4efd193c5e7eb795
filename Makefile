# The commands of a checkout. `make help` lists them.
# Each target first installs the lock into .venv, unless it is up to date. PYTHON=python3.13 chooses another interpreter
# than python3 for it.

RUN := .venv/bin/python
# Some images set it: every process would then compile all that it imports, which takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
# docker, native (servers from packages), or auto (docker when an engine answers).
WITH ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test up down reset env status psql rabbitmqctl check compose-check chaos acceptance bench format

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { line = sprintf("  make %-14s", $$1); count = split($$2, words, " "); \
		for (i = 1; i <= count; i++) { if (length(line " " words[i]) > 80) { print line; line = sprintf("%21s", "") } \
			line = line " " words[i] } print line }' $(MAKEFILE_LIST)

.venv: ; @ops/bootstrap
.PHONY: .venv

demo: .venv ## set up all that is needed, start everything, play the main job on real input, show the result
	@$(RUN) -m ops.dev.demo --with $(WITH)

test: .venv ## set up all that is needed and run all tests against real servers (ARGS="-k name" for some, KEEP=1 keeps servers)
	@$(RUN) -m pytest $(ARGS)

up: .venv ## start everything in the background and wait until it is ready
	@$(RUN) -m ops.dev.stack up --with $(WITH)

down: .venv ## stop everything; the data stays
	@$(RUN) -m ops.dev.stack down

reset: .venv ## stop everything and delete the data; the servers that a test run with KEEP=1 has kept too
	@$(RUN) -m tests.support.servers
	@$(RUN) -m ops.dev.stack reset

env: .venv ## print the running stack's settings as NAME=value lines
	@$(RUN) -m ops.dev.stack env

status: .venv ## show the status of every server and process; fails when one is not ready
	@$(RUN) -m ops.dev.stack status

psql: .venv ## PostgreSQL's own command line (ROLE=operator|owner|relay|…, ARGS="-c 'select 1'")
	@$(RUN) -m ops.dev.stack psql --role $(or $(ROLE),app) $(ARGS)

rabbitmqctl: .venv ## RabbitMQ's own command line (ARGS="list_queues -p money_flow name messages arguments")
	@$(RUN) -m ops.dev.stack rabbitmqctl $(ARGS)

check: .venv ## all checks without servers: format, lint, types, import rules, contracts, known faults, .env.example against the settings
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@.venv/bin/lint-imports
	@$(RUN) -m ops.cli contracts check
	@$(RUN) -m bandit -q -c pyproject.toml -r api moneyflow workers consumers mail_templates migrations ops
	@$(RUN) -m ops.dev.package_audit
	@$(RUN) -m pytest -q -p no:randomly tests/unit/test_env_example.py

compose-check: .venv ## run the compose file and check that it works, on a temporary engine where none answers
	@ops/dev/standins/check.sh

chaos: .venv ## the fault suite, long form: storms, failpoints, controls, a report (SEED=1 ROUNDS=5 RESULTS=a folder)
	@$(RUN) -m pytest tests/chaos -v -n 0 --chaos-seed $(or $(SEED),1) --chaos-rounds $(or $(ROUNDS),5) \
		--chaos-results $(or $(RESULTS),tests/chaos/results) $(ARGS)

acceptance: .venv ## the long forms of tests that `make test` has short, each area with a kept result (ARGS=chaos for one)
	@$(RUN) -m tests.acceptance $(ARGS)

bench: .venv ## the benchmarks, compared with the peers, on servers of their own (ARGS="pickup --rounds 5", ARGS=growth)
	@$(RUN) -m ops.dev.bench.jobs $(ARGS)

format: .venv ## format the code and fix what ruff can fix
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .
