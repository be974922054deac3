"""Learning from language feedback (LLF): Align Anything (arXiv 2412.15838), sections 3.2 and 10.1.

    feedback   a feedback model is trained: it writes critique and refinement of an answer
    respond    the initial model answers the prompts
    critique   the feedback model writes critique and refinement of each answer
    refine     the initial model answers again, with that in the conversation
    compare    a judge says how often the refined answer is the better one (Table 3), where one is named
    pairs      refined answers, preferred to the first ones, as a data set
    train      DPO on the pairs, or a reward model and PPO

`flow` does them one after another; answers come from `eval_anything.respond`.
"""
