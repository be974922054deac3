"""Worked examples of each method, for `eval-anything train METHOD --help`."""

from __future__ import annotations

EXAMPLES = {
    "sft": """\
  eval-anything train sft --model Qwen/Qwen2-VL-7B-Instruct --data align-anything:ti2t --preset ti2t \\
      --out runs/sft
  eval-anything train sft --model path/to/checkpoint --data answers.jsonl --lr 1e-5 --lora rank=16 \\
      --out runs/sft
  eval-anything run --model hf/runs/sft/final --tasks amu""",
    "feedback": """\
  eval-anything train feedback --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --out runs/feedback
  eval-anything train feedback --model path/to/checkpoint --data synthetic:ti2t,n=200 \\
      --out runs/feedback""",
    "reward": """\
  eval-anything train reward --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --out runs/reward
  eval-anything train ppo --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --reward runs/reward/final --out runs/ppo""",
    "dpo": """\
  eval-anything train dpo --model Qwen/Qwen2-Audio-7B-Instruct --data align-anything:ta2t \\
      --preset ta2t --out runs/dpo
  eval-anything train dpo --model path/to/checkpoint --data pairs.jsonl --beta 0.2 --lora rank=16 \\
      --out runs/dpo
  eval-anything run --model hf/runs/dpo/final --tasks amu
  accelerate launch --num_processes 8 -m eval_anything_train dpo --config dpo.yaml""",
    "ppo": """\
  eval-anything train ppo --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --reward runs/reward/final --out runs/ppo
  eval-anything train ppo --model path/to/checkpoint --data prompts.jsonl --reward runs/reward/final \\
      --ptx-data answers.jsonl --kl-coeff 0.05 --out runs/ppo
  eval-anything run --model hf/runs/ppo/final --tasks amu""",
    "llf": """\
  eval-anything train llf --model llava-hf/llava-1.5-7b-hf --data align-anything:ti2t \\
      --preset ti2t --out runs/llf
  eval-anything train llf --model path/to/checkpoint --data synthetic:ti2t,n=200 --then ppo \\
      --feedback lr=1e-5 epochs=1 --ppo lr=1e-6 --compare reference --out runs/llf
  eval-anything train llf --model path/to/checkpoint --data prompts.jsonl --feedback-model openai/gpt-4o \\
      --critique.repetition-penalty 1 --stages respond,critique,refine,pairs --out runs/llf
  eval-anything train llf --model Qwen/Qwen2-VL-7B-Instruct --data align-anything:ti2t \\
      --generator openai/Qwen/Qwen2-VL-7B-Instruct \\
      --generator-options base_url=http://localhost:8000/v1 --out runs/llf
  eval-anything run --model hf/runs/llf/dpo/final --tasks amu
  accelerate launch --num_processes 8 -m eval_anything_train llf --stages train --config llf.yaml""",
    "kto": """\
  eval-anything train kto --model path/to/checkpoint --data align-anything:t2t --preset t2t \\
      --out runs/kto
  eval-anything train kto --model path/to/checkpoint --data labelled.jsonl --form align-anything \\
      --out runs/kto""",
    "simpo": """\
  eval-anything train simpo --model path/to/checkpoint --data align-anything:t2t --preset t2t \\
      --out runs/simpo
  eval-anything train simpo --model path/to/checkpoint --data pairs.jsonl --gamma 1.0 \\
      --out runs/simpo""",
    "orpo": """\
  eval-anything train orpo --model path/to/checkpoint --data align-anything:t2t --preset t2t \\
      --out runs/orpo
  eval-anything train orpo --model path/to/checkpoint --data pairs.jsonl --odds-weight 0.1 \\
      --out runs/orpo""",
    "synergy": """\
  eval-anything train synergy --out runs/synergy
  eval-anything run --model embedded/omni --agent text-protocol --data synthetic --judge synergy \\
      -J model=runs/synergy/final --tasks amg_synergy""",
    "scenes": """\
  eval-anything train scenes --out runs/scenes
  eval-anything run --model hf/runs/scenes/final --data synthetic --tasks amu""",
}
