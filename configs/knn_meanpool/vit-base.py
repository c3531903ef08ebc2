# k-NN on the mean of the patch tokens after the final LayerNorm, beside the class token's.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        knn_meanpool=dict(
            type='cae_bench.KNNProbe',
            feature='mean',
            grid=dict(k=[20, 10, 100, 200], temperature=[0.07, 0.02, 0.2]),
            select='first',
            source='facebookresearch/dino eval_knn.py, on mean-pooled patch tokens',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1)
