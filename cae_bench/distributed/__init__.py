"""Several processes of one run: launchers, joining, failing together."""
