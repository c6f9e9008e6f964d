# SPDX-License-Identifier: MIT
# The front door. Meson does the building (meson.build); `make help` lists what can be asked for.
# Every build has a folder of its own, so none of them disturbs another.
SHELL := /bin/bash
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
FUZZ_MINUTES ?= 30
RUN_ARGS ?=
unexport BUILD

.DEFAULT_GOAL := build

## Everyday
.PHONY: build
build: deps-build ## Check the packages, build build/portcullis (the default)
	@scripts/build $(BUILD)

.PHONY: run
run: build ## Build, then run `portcullis serve` (RUN_ARGS="--config my.yaml")
	@exec $(BUILD)/portcullis serve $(RUN_ARGS)

.PHONY: test
test: deps-build deps-test ## Every test: units, stores, scenarios, end to end, docs, short fuzzing
	@scripts/test

.PHONY: check
check: deps-build deps-check ## Layout, static analysis, house rules: clang-format, gcc, clang-tidy, cppcheck, tidy
	@scripts/check

.PHONY: analyze
analyze: build deps-check ## Follow every path of src/ with gcc -fanalyzer (also a step of `make check`)
	@scripts/analyze $(ANALYZE_ARGS)

.PHONY: bench
bench: build deps-bench ## Measure beside nginx and HAProxy in the same rounds (BENCH_ARGS="--help")
	@bench/run --portcullis $(BUILD)/portcullis $(BENCH_ARGS)

## Deeper
.PHONY: fuzz
fuzz: deps-build deps-test ## Run every fuzz target for FUZZ_SECONDS (60) each
	@scripts/fuzz $(FUZZ_SECONDS)

.PHONY: fuzz-long
fuzz-long: deps-build deps-test ## The same for FUZZ_MINUTES (30) each; what is found is kept
	@scripts/fuzz $$(($(FUZZ_MINUTES) * 60))

.PHONY: mutate
mutate: deps-build deps-test ## Change money, JOSE, limits, breakers, paths; tests must notice
	@scripts/mutate $(MUTATE_ARGS)

.PHONY: asan ubsan tsan
asan: deps-build deps-test ## Unit tests under AddressSanitizer (with leak check)
	@scripts/sanitize address
ubsan: deps-build deps-test ## Unit tests under UndefinedBehaviorSanitizer
	@scripts/sanitize undefined
tsan: deps-build deps-test ## Unit tests under ThreadSanitizer
	@scripts/sanitize thread

.PHONY: soak
soak: build deps-test ## Mixed load for SOAK_SECONDS (60): flat memory, then TSan, then valgrind
	@scripts/soak

.PHONY: clang
clang: deps-build deps-test ## Build with clang; a warning is an error there as well
	@CC=clang scripts/build build-clang

.PHONY: coverage
coverage: deps-build deps-test ## Line coverage of src/ by all tests; fails below 90 %
	@scripts/coverage

.PHONY: format
format: deps-check ## Lay out the C files with clang-format
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' | xargs -r clang-format-14 -i

.PHONY: openapi
openapi: build ## Write the API description of each listener to openapi/*.yaml
	@scripts/openapi $(BUILD)/portcullis

.PHONY: install
install: build ## Install below PREFIX (/usr/local); DESTDIR is honoured
	@meson configure $(BUILD) --prefix $(PREFIX) >/dev/null && meson install -C $(BUILD) --quiet

.PHONY: clean
clean: ## Remove every build folder and the npm packages; data stays
	rm -rf build build-* node_modules

## Packages (each looks first, and does nothing when all is there)
.PHONY: deps-build deps-test deps-check deps-bench
deps-build: ## What building needs
	@scripts/deps build
deps-test: ## What testing needs
	@scripts/deps test
deps-check: ## What `make check` needs
	@scripts/deps check
deps-bench: ## What `make bench` needs
	@scripts/deps bench

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^## / { printf "\n%s\n", substr($$0, 4) } \
	    /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
