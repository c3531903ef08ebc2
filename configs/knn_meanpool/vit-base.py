# k-NN on the mean of the patch tokens after the final LayerNorm, beside the class token's.
_base_ = '../knn/vit-base.py'

model = dict(
    probes=dict(
        _delete_=True,
        knn_meanpool=dict(
            _base_.model.probes.knn,
            feature='mean',
            source='facebookresearch/dino eval_knn.py, on mean-pooled patch tokens',
        ),
    )
)
