# SPDX-License-Identifier: MIT
# Thin verbs over meson and tools/; `make help` lists them.

BUILD = build
PREFIX = /usr/local
OPTIONS = --prefix=$(PREFIX) -Dweb=enabled
NINJA = ninja -C

.PHONY: all build run cluster test fresh bench fmt install clean asan tsan clients fuzz help
.DEFAULT_GOAL = build

all: build

build: ## compile: build/peal
	@tools/setup.sh build
	@tools/configure.sh $(BUILD) $(OPTIONS)
	@$(NINJA) $(BUILD) --quiet

run: build ## start a node for development: http://127.0.0.1:8080/
	@echo 'Open http://127.0.0.1:8080/ in a browser; Ctrl-C ends it.'
	@exec $(BUILD)/peal serve --dev

cluster: ## start Redis, three nodes and nginx before them: http://127.0.0.1:8080/
	@tools/setup.sh cluster
	@tools/configure.sh $(BUILD) $(OPTIONS)
	@$(NINJA) $(BUILD) --quiet
	@exec tools/cluster.sh $(BUILD)

test: ## install what is missing, build, run every test
	@tools/setup.sh test
	@tools/configure.sh $(BUILD) $(OPTIONS)
	@$(NINJA) $(BUILD) --quiet
	@tools/run-tests.sh $(BUILD)

fresh: ## prove that all this works on a minimal Debian (RELEASE=bookworm|trixie)
	@tools/setup.sh fresh
	@tools/fresh.sh

bench: ## measure Peal beside other servers (minutes)
	@tools/setup.sh bench
	@tools/configure.sh build-release $(OPTIONS) --buildtype=release -Ddeveloper=false
	@$(NINJA) build-release --quiet
	@$(NINJA) build-release --quiet test/bench/sendloop
	@tools/bench.sh build-release $(BENCH)

asan: ## every test under the address and undefined behaviour sanitizers
	@tools/setup.sh test
	@tools/configure.sh build-asan $(OPTIONS) -Db_sanitize=address,undefined -Db_lundef=false
	@$(NINJA) build-asan --quiet
	@tools/run-tests.sh build-asan

tsan: ## unit, interop and cluster tests under the thread sanitizer
	@tools/setup.sh test
	@tools/configure.sh build-tsan $(OPTIONS) -Db_sanitize=thread -Db_lundef=false
	@$(NINJA) build-tsan --quiet
	@tools/run-tests.sh build-tsan unit cli interop cluster

clients: ## clients of other makers: Python, Java, Go, Rust, as far as their tools are here
	@tools/setup.sh test
	@tools/configure.sh $(BUILD) $(OPTIONS)
	@$(NINJA) $(BUILD) --quiet
	@tools/clients.sh $(BUILD)

fuzz: ## fuzz every codec for a minute each (FUZZ_SECONDS=N)
	@tools/setup.sh fuzz
	@CC=clang tools/configure.sh build-fuzz $(OPTIONS) -Dfuzz=true \
	  -Db_sanitize=address,undefined -Db_lundef=false
	@$(NINJA) build-fuzz --quiet fuzzers
	@tools/fuzz.sh build-fuzz

fmt: ## format all C files
	@tools/check-format.sh --fix

install: build ## install under PREFIX (/usr/local), below DESTDIR if set
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean: ## remove all build folders
	@rm -rf build build-release build-asan build-tsan build-fuzz build-clang build-fresh

help: ## print this
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12
