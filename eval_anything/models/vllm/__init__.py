"""`vllm/NAME_OR_PATH`: a vLLM server that is started for the run, and stopped with it."""
