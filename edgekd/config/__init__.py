"""The pipeline file and the device file: every setting, its default and its meaning."""
