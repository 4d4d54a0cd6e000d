"""The single file that is sent to a device: it runs and measures deployed models there."""
