"""`edgekd check RUN`: whether a run may be released, by its budget and against a released run."""
