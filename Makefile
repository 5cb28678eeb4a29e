# Thin on purpose: what a target does stands in scripts/ and test/, in TypeScript.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help
help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: deps ## Run a first workflow on a real cluster, started if need be
	@node scripts/demo.ts

.PHONY: test
test: deps ## Run all checks and tests; ONLY=static,unit,integration,conformance,e2e runs a part
	@node scripts/test.ts $(if $(ONLY),--only $(ONLY))

.PHONY: verify
verify: deps ## Check types, style and generated files, and run the unit tests
	@node scripts/test.ts --only static,unit

.PHONY: unit integration conformance e2e
unit integration conformance e2e: deps ## Run one layer of tests
	@node scripts/test.ts --only $@

.PHONY: bench
bench: deps ## Measure throughput and latency
	@node test/bench/main.ts

.PHONY: cli
cli: deps ## Build the program kadre into dist/kadre: kadre run and kadre validate need no cluster
	@node scripts/bundle.ts kadre
	@echo 'Put it on your PATH: ln -sf "$(CURDIR)/dist/kadre/main.js" ~/.local/bin/kadre'

.PHONY: image
image: deps ## Build the container images into .cache/images
	@node scripts/image.ts

.PHONY: cluster
cluster: deps ## Start a single-node test cluster
	@node test/cluster/main.ts up

.PHONY: clean-cluster
clean-cluster: deps ## Stop the test cluster and remove what it left
	@node test/cluster/main.ts down

.PHONY: generate
generate: deps ## Write the generated files anew
	@npm run --silent generate

.PHONY: fmt
fmt: deps ## Format all files
	@npm run --silent format

.PHONY: clean
clean: ## Remove build results; caches under .tools and .cache/go stay
	rm -rf dist coverage .cache/images .cache/test

.PHONY: deps
deps: node node_modules/.package-lock.json

.PHONY: node
node:
	@sh scripts/node.sh

node_modules/.package-lock.json: package-lock.json | node
	@node scripts/dependencies.ts
