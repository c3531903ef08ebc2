"""Autograd functions and packed layers. Nothing here is needed to understand a model."""
