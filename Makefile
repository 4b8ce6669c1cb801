# Needs Python 3.11 or newer and make; everything else is set up in .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
GEN := src/coupon_service/gen
PYTEST_ARGS ?=

# The first Python on PATH that is new enough and can make virtual environments.
FIND_PYTHON = for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		&& echo $$python && break; done

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-12s %s\n' "$$name" "$$what"; done

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:

.PHONY: setup
setup: $(STAMP) ## make the virtual environment in .venv, with all that is needed

$(STAMP): requirements/dev.txt
	@[ -x $(BIN)/python ] && exit; python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo 'This needs Python 3.11 or newer with its venv module (Debian and Ubuntu: apt install python3-venv).' >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$python --version); this takes about a minute."; \
	$$python -m venv $(VENV)
	@$(INSTALL) -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

.PHONY: run
run: $(STAMP) ## set up what is missing, then run the service on http://127.0.0.1:8080
	@exec $(BIN)/coupon-service serve $(ARGS)

.PHONY: test
test: check ## set up what is missing, then run every check and test
	@$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: check
check: $(STAMP) ## lint, formatting, types, the contract's lint, generated code fresh
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/buf lint
	@$(MAKE) check-gen

.PHONY: check-gen
check-gen: $(STAMP)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call GENERATE,$$fresh) && \
	if ! diff -r -x __pycache__ "$$fresh" $(GEN); then echo 'The generated code is stale: run "make gen".' >&2; exit 1; fi

# Two inputs: our contract, and the standard error details from the package that
# carries them. --exclude-source-info leaves their comments out.
PROTOS = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
GENERATE = export PATH="$(CURDIR)/$(BIN):$$PATH" && mkdir -p $(1) && details=$$(mktemp).binpb && \
	buf build "$(PROTOS)" --path "$(PROTOS)/google/rpc/error_details.proto" --exclude-source-info -o "$$details" && \
	buf generate --output $(1) && buf generate "$$details" --output $(1); status=$$?; rm -f "$$details"; [ $$status -eq 0 ]

.PHONY: gen
gen: $(STAMP) ## generate the code under src/coupon_service/gen from the contract
	@rm -rf $(GEN)
	@$(call GENERATE,$(GEN))

# What tables.py says and the database of COUPON_DATABASE_URL, a scratch one with the
# newest schema, does not have yet. The number follows that of the last migration.
.PHONY: migration
migration: $(STAMP) ## draft a migration from tables.py: make migration name="what it does"
	@[ -n "$(name)" ] || { echo 'Say what it does: make migration name="..."' >&2; exit 2; }
	@[ -n "$$COUPON_DATABASE_URL" ] || { echo 'COUPON_DATABASE_URL must name a scratch database with the newest schema.' >&2; exit 2; }
	@last=$$(ls migrations/versions/[0-9]*.py | tail -n 1); last=$${last##*/}; \
	number=$$($(BIN)/python -c "print(format(int('$${last%%_*}') + 1, '04'))"); \
	$(BIN)/alembic revision --autogenerate --rev-id "$$number" -m "$(name)"

.PHONY: bench
bench: $(STAMP) ## set up what is missing, then measure: make bench ARGS="--help"
	@exec $(BIN)/python -m bench $(ARGS)

.PHONY: faults
faults: $(STAMP) ## set up what is missing, then do faults under load: make faults ARGS="--minutes 60"
	@exec $(BIN)/python -m loadtest.faults $(ARGS)

.PHONY: attack
attack: $(STAMP) ## set up what is missing, then attack the service on both servers: make attack ARGS="--help"
	@exec $(BIN)/python -m loadtest.attack $(ARGS)

.PHONY: rush
rush: $(STAMP) ## set up what is missing, then a launch night in small, with a verdict: make rush ARGS="--help"
	@exec $(BIN)/python -m loadtest rush $(ARGS)

.PHONY: broken
broken: $(STAMP) ## set up what is missing, then see that the checker catches every issuer broken on purpose
	@exec $(BIN)/python -m loadtest.broken $(ARGS)

.PHONY: conformance
conformance: $(STAMP) ## set up what is missing, then Connect's official tests against both servers (needs Go)
	@$(BIN)/python -m conformance $(ARGS)

.PHONY: format
format: $(STAMP) ## format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header

.PHONY: lock
lock: $(STAMP) ## pin the newest versions of all dependencies, with hashes
	@$(LOCK) --upgrade pyproject.toml --group dev -o requirements/dev.txt
	@$(LOCK) --upgrade pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt

.PHONY: clean
clean: ## remove the virtual environment and everything that was built
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
