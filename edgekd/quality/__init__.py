"""Quality beyond accuracy: whether probabilities can be trusted, and what a shift of the data does.

Nothing here knows a runtime or a pipeline: logits, labels and raw samples in, figures out.
"""
