# ImageNet-1K k-NN on the class token with DINO's defaults: cosine, k 20, T 0.07. The other cells are told beside it.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        knn=dict(
            type='cae_bench.KNNProbe',
            feature='cls',
            grid=dict(k=[20, 10, 100, 200], temperature=[0.07, 0.02, 0.2]),
            select='first',  # nothing is chosen on validation images
            source='facebookresearch/dino eval_knn.py',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1)
