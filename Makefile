# Everything a contributor runs. `make test` is what CI runs.

GO       ?= go
FUZZTIME ?= 30s
CHECKERS := .cache/checkers
MINIO    := .cache/minio

.PHONY: build test lint unit s3 e2e-short e2e bench bench-peer bench-cluster fuzz generate checkers minio clean

build: ## a static binary in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/salvor ./cmd/salvor

test: lint unit s3 e2e-short ## all that must pass before a change is merged

lint:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Fuzz targets run their seeds here. The end-to-end tests come after, alone:
# they time out by the wall clock.
unit:
	$(GO) test -race -shuffle=on -timeout 20m $$($(GO) list ./... | grep -v '/e2e')

# A module of its own, so that no S3 server is among this one's requirements.
s3: ## the S3 store against versitygw in process and a MinIO process
	cd storage/s3/s3test && $(GO) vet ./... && $(GO) test -short -timeout 20m ./...

e2e-short:
	@e2e/check/missing.sh $(CHECKERS) $(MINIO)
	$(GO) test -race -shuffle=on -timeout 40m ./e2e/...

e2e: checkers minio ## the end-to-end tests in full size (an hour)
	$(GO) test -count=1 -v -timeout 120m ./e2e -args -long

bench: ## the parts
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-peer: build ## wget --warc-file and salvor on the same site; results in bench/
	$(GO) run ./e2e/benchpeer -salvor bin/salvor

bench-cluster: build minio ## what a cluster costs (15 minutes); results in bench/
	$(GO) run ./e2e/benchcluster -salvor bin/salvor

fuzz: ## every fuzz target for FUZZTIME
	GO=$(GO) e2e/check/fuzz.sh $(FUZZTIME)

generate: ## api/pb from the schema; needs protoc (Debian: protobuf-compiler)
	GO=$(GO) $(GO) generate ./api/proto

checkers: ## warcio and pywb, from PyPI
	@e2e/check/install.sh $(CHECKERS)

minio: ## an S3 server to test against, built from its source
	@e2e/check/minio.sh $(MINIO)

clean:
	rm -rf bin $(CHECKERS) $(MINIO)
