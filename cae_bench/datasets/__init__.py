"""Data folders: layouts, their description, check and hash, and what reads them. Importing it imports no torch."""
