# Two commands matter: `make run` starts the platform, `make test` proves it. Both set themselves up.
SHELL := /bin/bash
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
SYNC := $(UV) sync --frozen --quiet --extra serving --extra training --extra cpu --group dev
RUN := .venv/bin/
SEQSERVE_ARGS ?=
LOAD_ARGS ?=
LOCUST := $(RUN)locust -f tests/load/locustfile.py --headless --only-summary --host http://127.0.0.1:8501
SKETCH_DATA ?= ../shared/data/sketch/sketchrnn_npz
SERIES_DATA ?= ../shared/data
VIDEO_DATA ?= ../shared/data/video/fir_actions

.DEFAULT_GOAL := help
.PHONY: help run up test test-programs check fix protos train-smoke families forecast-families video-families backtest load knee fuzz bench bench-setup bench-gateway bench-runtime bench-camera bench-precision bench-scaling faults soak images

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.tools/bin/uv:
	@echo "uv is not installed; fetching it into .tools"
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "seqserve needs Python 3.11 to 3.13 as python3"; exit 1; }
	@python3 -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.synced: uv.lock pyproject.toml | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@echo "installing the locked dependencies into .venv (about 2.5 GB, once)"
	@$(SYNC)
	@touch $@

run: .venv/.synced ## set up and start the whole platform with embedded defaults (Ctrl-C stops it)
	@exec $(RUN)seqserve up $(SEQSERVE_ARGS)

up: run ## the same as run

test: check test-programs ## set up, then check and run every test
	@$(RUN)pytest tests/integration tests/unit tests/gateway --numprocesses 2 --dist loadfile --no-loadscope-reorder
	@$(RUN)pytest tests/e2e

test-programs:
	@missing=; command -v chromedriver >/dev/null || missing="chromium chromium-driver"; \
	  command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	  test -z "$$missing" || { command -v apt-get && test "$$(id -u)" = 0; } >/dev/null || \
	    { echo "not here, so some tests are skipped; apt-get install $$missing"; exit 0; }; \
	  test -z "$$missing" || { echo "installing $$missing"; apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null 2>&1 || \
	    echo "could not be installed, so some tests are skipped: $$missing"

check: .venv/.synced ## lint, format, types, layers, generated stubs
	@$(RUN)ruff check .
	@$(RUN)ruff format --check --quiet .
	@$(RUN)mypy
	@$(RUN)lint-imports --no-cache
	@$(UV) lock --check --quiet
	@$(MAKE) --no-print-directory protos
	@git diff --exit-code --stat -- gen || { echo "gen/ is not what protos/ generates: commit the result of 'make protos'"; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard -- gen)" || { echo "gen/ holds stubs that are not committed"; exit 1; }

fix: .venv/.synced ## let ruff mend and format
	@$(RUN)ruff check --fix .
	@$(RUN)ruff format .

protos: .venv/.synced ## generate gen/ from protos/ with the locked grpcio-tools
	@rm -rf gen/seqserve && mkdir -p gen
	@$(RUN)python -m grpc_tools.protoc -I protos --python_out gen --pyi_out gen --grpc_python_out gen \
	  $$(find protos -name '*.proto' | LC_ALL=C sort)

train-smoke: .venv/.synced ## train, evaluate and export a small model of each kind (minutes)
	@for recipe in sketch forecast video; do \
	  $(RUN)seqserve train $$recipe --preset smoke --models runs/models --allow-worse || exit 1; done

families: .venv/.synced ## train every family of sketch models with three seeds, in docs/sketch-families.md (hours)
	@$(RUN)python -m training.sketch.families --data $(SKETCH_DATA) --runs runs/families

forecast-families: .venv/.synced ## the same of forecasters, in docs/forecast-families.md (hours)
	@$(RUN)python -m training.forecast.families --data $(SERIES_DATA) --runs runs/forecast-families

video-families: .venv/.synced ## the same of video models, in docs/video-families.md (an hour or more)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m training.video.families --data $(VIDEO_DATA) --runs runs/video-families \
	  $(if $(findstring fir_actions,$(VIDEO_DATA)),--thermal)

backtest: .venv/.synced ## the bundled forecaster beside statsforecast's models, in docs/forecast-backtest.md (two hours)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m training.forecast.backtest --data $(SERIES_DATA)

load: .venv/.synced ## 30 s of mixed traffic against a running platform; LOAD_ARGS="…" for every knob of docs/load.md
	@$(LOCUST) --users 16 --spawn-rate 8 --run-time 30s --html runs/load/report.html --csv runs/load/numbers $(LOAD_ARGS)

knee: .venv/.synced ## raise the load on a running platform until it breaks an objective, and print where that was
	@$(LOCUST) --shape knee --html runs/load/knee.html --knee-report runs/load/knee.md $(LOAD_ARGS)

images: ## build the container images (needs Docker)
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); for target in gateway serving training load; do \
	  docker build -f deploy/Dockerfile --target $$target -t seqserve-$$target:$$version . || exit 1; done

fuzz: .venv/.synced ## more than 15,000 built, broken and random requests at both doors (minutes)
	@$(RUN)pytest tests/gateway/test_contract.py tests/gateway/test_grpc_fuzz.py --fuzz-size 12 -s

bench-setup: .venv/.synced ## install the peers that `make bench` measures, each in its own environment (5 GB, minutes)
	@$(RUN)python -m bench.peers --setup

bench: .venv/.synced bench-setup ## seqserve beside other model servers on the same models, in bench/results (20 minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.peers

bench-gateway: .venv/.synced ## what the gateway adds to a call, beside echo servers, in bench/results (two minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.gateway

bench-runtime: .venv/.synced ## batching and graphs of the runtime beside plainer ones, in bench/results (minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.runtime

faults: .venv/.synced ## what clients notice while parts of a cluster die, in docs/faults.md (needs root; half an hour)
	@$(RUN)python -m bench.faults --rate 40

soak: .venv/.synced ## whether memory, files or connections grow in half an hour at 70 % load, in docs/faults.md (needs root)
	@$(RUN)python -m bench.faults.soak --minutes 30

bench-precision: .venv/.synced ## half-size numbers, XLA and batch sizes on this processor or GPU, in bench/results (minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.precision

bench-scaling: .venv/.synced ## what doubling the replicas gives, on a model that sleeps, in bench/results (minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.scaling

bench-camera: .venv/.synced ## the camera-motion model on textures, photographs and footage it never saw, in bench/results (minutes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(RUN)python -m bench.camera
