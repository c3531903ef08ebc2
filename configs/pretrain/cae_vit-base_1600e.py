# CAE-base, 1600 epochs. Official README: linear 70.3, attentive 77.2, fine-tuning 83.9, ADE20K 50.3 mIoU,
# COCO 50.3 / 44.2 AP. There is no script for it; the README says as 800 epochs, with a warm-up of 40.
_base_ = './cae_vit-base_300e.py'
pretrain = dict(epochs=1600, warmup_epochs=40, milestones=(300, 800))
