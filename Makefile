# Everything below works on a fresh machine with Python 3.11+ and make: each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
READY := $(VENV)/.ready

.PHONY: demo test lint bench test-audiocraft test-vllm clean

demo: $(READY)  ## the main job, offline: a small omni model on AMU, and as an agent with media tools on AMG
	$(BIN)/eval-anything run --model embedded/omni --agent text-protocol --tasks amu,amg --data synthetic:n=48 -M max_tokens=256 --seed 0

test: $(READY) lint  ## the whole suite, in parallel, offline
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## prints tables; each script says what is in its own
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/overhead.py
	$(BIN)/python bench/overlap.py
	$(BIN)/python bench/throughput.py
	$(BIN)/python bench/multiple_choice.py
	$(BIN)/python bench/image_scoring.py
	$(BIN)/python bench/gate.py
	$(BIN)/python bench/gate_rates.py
	$(BIN)/python bench/report.py
	$(BIN)/python bench/judge_quality.py
	$(BIN)/python plugins/train/bench/steps.py
	$(BIN)/python plugins/train/bench/ppo.py

test-audiocraft: $(READY)  ## AudioGen and MusicGen's own code, in an environment of its own (1.5 GB, minutes)
	$(BIN)/eval-anything tools build-audiocraft --dir .audiocraft
	AUDIOCRAFT_PYTHON=$(CURDIR)/.audiocraft/bin/python $(BIN)/python -m pytest tests/agents/media/audiocraft_real.py

test-vllm: $(READY)  ## the managed server with vLLM itself on a CPU with AVX512, in an environment of its own (3.5 GB, minutes)
	$(BIN)/python tests/models/vllm/build_environment.py .vllm
	VLLM_PYTHON=$(CURDIR)/.vllm/bin/python $(BIN)/python -m pytest tests/models/vllm/vllm_real.py

# torch first and by its exact version: a newer one may bring gigabytes of packages for GPUs that are not there.
$(READY): pyproject.toml plugins/train/pyproject.toml constraints.txt
	@echo "setting up $(VENV) once: about 2 GB, a few minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" wheel
	$(PIP) torch==2.13.0
	$(PIP) -c constraints.txt --no-deps torchvision
	$(PIP) -c constraints.txt --no-build-isolation -e ".[hf,gemini,diffusers,lm-eval,reward,dev]"
	$(PIP) -c constraints.txt --no-build-isolation -e "plugins/train[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
