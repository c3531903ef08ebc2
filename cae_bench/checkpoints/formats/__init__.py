"""One format a file: `matches()` tells it by its tensors, `convert()` gives our names. The loader finds them by folder."""
