# `make` alone lists what there is. The work itself is done by small Go programs
# under test/, so that it runs the same way on every system.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.DEFAULT_GOAL := help
.PHONY: help build demo test check bench fuzz dist test-pi clean bench-links bench-peers bench-browser chaos soak vulncheck test-packages

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./framepipe for this machine
	go run ./test/dist -version '$(VERSION)' -here framepipe

demo: ## a synthetic camera and a viewer in one process; needs Go only
	go run ./cmd/framepipe demo

test: ## everything: checks, Go and Python tests, all platforms, the VM; installs Debian packages when root
	go run ./test/run all

check: ## the quick part: gofmt, vet, staticcheck, govulncheck, the repository's own rules
	go run ./test/run check

bench: ## all benchmarks, into docs/performance/bench.txt in Go benchmark format (BENCH='-count 10' for benchstat)
	go test -run "^$$" -bench . -benchmem $(BENCH) ./... > docs/performance/bench.txt; s=$$?; cat docs/performance/bench.txt; exit $$s
	go run ./test/bench
	go run ./test/fanout

bench-links: ## latency and age on bad links, by policy: table and plots in docs/; root, two hours, LINKS=-quick 12 minutes
	go run ./test/links -out docs/links $(LINKS)

bench-peers: ## side by side with other programs, in turns: tables and plots in docs/performance.md (PEER_GO2RTC=PATH, PEER_USTREAMER=PATH)
	-bash test/setup ustreamer gcc python3-pil
	go run ./test/benchcodec $(PEERS)
	go run ./test/bench -reps 3 -doc docs/performance.md
	go run ./test/fanout -reps 3 -for 5s -doc docs/performance.md

bench-browser: ## what a real Chromium displays and how late, held against the goals (a quiet machine, Debian's chromium and xvfb, 4 minutes)
	go test -count=1 -v -run 'Figures|FramesAreDisplayed|FourCameras|WaysToShow|GlassSees' ./test/browser -figures

chaos: ## faults on both sides, killed, stopped, cut off, flooded: 216 trials from seeds, table in docs/reliability.md (root, ten minutes)
	go run ./test/chaos -runs 216 -out docs/reliability.md $(CHAOS)

soak: ## both sides for SOAK (10m), visited now and then; fails if anything grows; table in docs/reliability.md (root)
	go run ./test/chaos -soak $(or $(SOAK),10m) -out docs/reliability.md

vulncheck: ## known vulnerabilities in what we call (part of make check)
	go run ./test/run vulncheck

fuzz: ## every fuzz target for FUZZTIME (10s) each
	go run ./test/run -fuzztime $(or $(FUZZTIME),10s) fuzz

dist: ## static binaries for all platforms and Debian packages in dist/, with SHA256SUMS
	go run ./test/dist -go 'go$(shell cat .go-version)' -version '$(VERSION)' -o dist

test-pi: ## capture on an emulated Raspberry Pi 3 (slow: many minutes)
	go test -count=1 -tags vmpi -timeout 60m -v ./test/vm

test-packages: ## the Debian packages on clean Debians: amd64 with its services, arm64 and armhf emulated, arm64 on an emulated Raspberry Pi 3 (root, many minutes)
	mkdir -p build/packages
	go test -count=1 -tags packages -timeout 60m -artifacts -outputdir $(CURDIR)/build/packages -v ./test/packages

clean: ## remove what the other targets made
	rm -rf framepipe dist build .cache
