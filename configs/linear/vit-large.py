# CAE 1600 epochs, ViT-L/16: 77.8 (README of Atten4Vis/CAE); MAE 1600: 76.0 (CAE paper). Same constants as base.
_base_ = './vit-base.py'
