# ImageNet-1K linear probing as CAE and MAE publish it: class token, BatchNorm, linear layer; LARS, 90 epochs,
# batch 16,384. Expected, ViT-B/16: CAE 1600 epochs 70.3, CAE 800 68.9, CAE 300 64.5 (README of Atten4Vis/CAE);
# MAE 1600 67.8 (CAE paper).
_base_ = '../_base_/linear.py'
