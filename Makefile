# `make help` lists the targets.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -X main.version=$(VERSION)
TOOL     := go tool -modfile=internal/tools/go.mod
TESTSUM  := go run ./internal/testsum
FUZZTIME ?= 60s

# The modules of this repository: the root, and the nested ones that stand.
NESTED := $(patsubst %/go.mod,%,$(wildcard test/go.mod bench/peers/go.mod))
# Every Go file of ours (npm packages may bring some of theirs).
GOFILES = $(shell find . -name node_modules -prune -o -name '*.go' -print)
# Where npm packages are wanted: by the tests, and by the comparison.
npm_installed = $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,$(wildcard $(1)))
TEST_NPM  := $(call npm_installed,test/package-lock.json test/*/package-lock.json)
BENCH_NPM := $(call npm_installed,bench/peers/node/package-lock.json)

##@ Build and run

.PHONY: build
build: ## build bin/wsd
	go build -ldflags '$(LDFLAGS)' -o bin/wsd ./cmd/wsd

.PHONY: run
run: build ## build wsd and start it on 127.0.0.1:3000
	@exec ./bin/wsd serve --hints

##@ Test

.PHONY: test
test: deps lint cross ## everything CI checks; ends with "N passed, N failed"
	@$(TESTSUM) ". -race -shuffle=on -timeout 10m ./..." $(if $(wildcard test/go.mod),"test -p 1 -shuffle=on -timeout 12m ./...")

.PHONY: test-long
test-long: deps ## ten minutes of each fuzz target, then the storms in full
	$(MAKE) fuzz FUZZTIME=$(or $(LONGFUZZTIME),10m)
	WSD_LONG=1 $(TESTSUM) ". -race -shuffle=on -timeout 60m ./..." $(if $(wildcard test/go.mod),"test -p 1 -shuffle=on -timeout 60m ./...")

.PHONY: race
race: ## the root module's tests under the race detector
	go test -race -shuffle=on ./...

.PHONY: fuzz
fuzz: ## each fuzz target in turn, FUZZTIME=60s each
	@# Now and then go test takes the end of the time for a failure: it names no input then.
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ { t[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, t[i]; n = 0 }' | \
	while read -r pkg target; do \
		echo "== $$pkg $$target $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$pkg" < /dev/null 2>&1 | tee "$$log" || \
			{ grep -q '^ *context deadline exceeded$$' "$$log" && ! grep -q 'testdata/fuzz' "$$log"; }; \
	done

.PHONY: cluster-matrix
cluster-matrix: deps ## every Socket.IO call between Node and wsd, by adapter: the table, also into docs/interop.md
	@table=$$(mktemp); trap 'rm -f "$$table"' EXIT; \
	(cd test && go test -count=1 -run '^(TestMatrix|TestRecovery)$$' ./cluster -table "$$table" \
		$(if $(wildcard docs/interop.md),-update $(CURDIR)/docs/interop.md) >&2); \
	cat "$$table"

.PHONY: cover
cover: ## the tests' coverage, in coverage.html
	go test -coverprofile=coverage.out -coverpkg=./... ./...
	go tool cover -html=coverage.out -o coverage.html
	go tool cover -func=coverage.out | tail -n 1

##@ Check

.PHONY: fmt
fmt: ## format every Go file
	gofmt -w $(GOFILES)

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, in every module
	@out=$$(gofmt -l $(GOFILES)); [ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	@for dir in $(NESTED); do \
		echo "go vet, staticcheck in $$dir"; \
		(cd "$$dir" && go vet ./... && go tool -modfile=$(CURDIR)/internal/tools/go.mod staticcheck ./...); \
	done

.PHONY: cross
cross: ## build for the other systems
	GOOS=darwin go build ./...
	GOOS=windows go build ./...
	GOARCH=arm64 go build ./...
	GOARCH=386 go build ./...

.PHONY: vuln
vuln: ## known vulnerabilities in what we import
	$(TOOL) govulncheck ./...

##@ Measure

.PHONY: bench
bench: ## micro-benchmarks of the hot paths, with allocations
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-peers
bench-peers: build $(BENCH_NPM) ## wsd and other servers, interleaved and pinned; COMPARE='-case echo20 -reps 5'
	go run ./bench/compare $(COMPARE)

.PHONY: bench-sio
bench-sio: $(BENCH_NPM) ## Socket.IO: wsd beside Node's and a Go server; COMPARE='-case sioecho -reps 5'
	go run ./bench/compare -case 'sio*' -peers wsd-sio-inline,wsd-sio,node-sio,zishang -ref node-sio $(COMPARE)

.PHONY: bench-cluster
bench-cluster: programs $(BENCH_NPM) ## two servers and Redis: wsd beside Node's, by adapter; COMPARE='-case xstreams -reps 5'
	go run ./bench/compare -case 'x*,sioroomrate' -peers wsd-sio-inline,wsd-sio,node-sio -ref node-sio $(COMPARE)

.PHONY: pgo
pgo: build ## record cmd/wsd/default.pgo from the benchmark's load
	./internal/tools/pgo.sh

##@ Prepare

# What tests call, and the Debian package that brings it. Daemons live where not
# every user looks; RUNLEVEL=1 below keeps their packages from starting them.
export PATH := $(PATH):/usr/sbin:/sbin
PROGRAMS := chromium:chromium node:nodejs npm:npm gcc:build-essential \
	redis-server:redis-server redis-cli:redis-tools nginx:nginx haproxy:haproxy ip:iproute2 iptables:iptables
# What is no program: a command that succeeds where it is there.
LIBRARIES := 'echo "\#include <zlib.h>" | gcc -E - :zlib1g-dev' '/usr/bin/python3 -c "import socketio, aiohttp":python3-socketio python3-aiohttp'

.PHONY: deps
deps: programs $(TEST_NPM) ## install what the tests need and the machine lacks

.PHONY: programs
programs:
	@need=(); \
	for p in $(PROGRAMS); do command -v "$${p%%:*}" > /dev/null || need+=("$${p##*:}"); done; \
	for l in $(LIBRARIES); do bash -c "$${l%:*}" > /dev/null 2>&1 || need+=($${l##*:}); done; \
	[ "$${#need[@]}" = 0 ] && exit 0; \
	if ! command -v apt-get > /dev/null; then echo "make: please install: $${need[*]}" >&2; exit 1; fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "installing $${need[*]}"; \
	$$sudo apt-get -qq -o DPkg::Lock::Timeout=300 update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$${need[@]}" > /dev/null

%/node_modules/.package-lock.json: %/package-lock.json | programs
	npm ci --prefix $* --no-audit --no-fund --loglevel=error

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
