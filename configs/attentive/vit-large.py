# CAE 1600 epochs, ViT-L/16: 81.2 (README of Atten4Vis/CAE); MAE 1600: 78.8 (CAE paper). Same constants as base.
_base_ = './vit-base.py'
