# k-NN in under a minute, for any ViT and any image folder. Not comparable with published k-NN: small input.
# CIFAR-10 photographs, 6,000 + 2,000, random 48-wide ViT: 31 top-1 (chance 10).
_base_ = '../_base_/frozen_mini.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        knn=dict(
            type='cae_bench.KNNProbe',
            feature='cls',
            grid=dict(k=[20, 10, 50], temperature=[0.07]),
            select='first',
            source='DINO eval_knn.py: cosine, k 20, T 0.07',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1, val_interval=1)
