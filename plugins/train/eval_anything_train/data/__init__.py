"""Training data: align-anything, its likes in local files, SafeSora, InterMT, the synthetic twin.

`source.load` is the one entry; `schema` is the project's own preference schema. Nothing here imports torch.
"""
