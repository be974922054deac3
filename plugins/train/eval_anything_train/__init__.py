"""Training of all-modality models: SFT, feedback model, reward model, DPO, PPO, KTO, SimPO, ORPO and LLF.

Checkpoints are folders that `eval-anything run --model hf/CHECKPOINT` scores. The methods and their forms are
those of Align Anything (arXiv 2412.15838), sections 3 and 10.
"""
