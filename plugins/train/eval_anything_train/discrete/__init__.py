"""Models whose answers hold images as discrete tokens: Janus, Chameleon.

An image of an answer is the codes that the checkpoint's own VQ encoder gives for it. They are tokens like
others, with ids of their own, so that batches, log-probabilities, losses and reward models are those of text.
"""

from eval_anything.models.hf.load import libraries

libraries()  # in the right order, before a class of theirs is named
