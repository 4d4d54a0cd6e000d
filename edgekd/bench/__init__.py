"""Measurements of deployed files: jobs for devices, and their figures."""
