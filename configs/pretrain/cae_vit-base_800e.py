# CAE-base, 800 epochs (scripts/cae_base_800e.sh). Official README: linear 68.9, attentive 75.9, fine-tuning 83.8,
# ADE20K 49.7 mIoU, COCO 49.9 / 43.9 AP. Warm-up 20 epochs; the Paddle release has 10.
_base_ = './cae_vit-base_300e.py'
pretrain = dict(epochs=800, warmup_epochs=20, milestones=(300,))
