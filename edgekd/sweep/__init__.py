"""`edgekd sweep`: a search over any fields of a pipeline, for several objectives at once."""
