"""Released models by name and version, in a folder or in an object store."""
