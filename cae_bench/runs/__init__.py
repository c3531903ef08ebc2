"""What one run is: options, header, recipe, fingerprint, global batch, and the record it ends with."""
