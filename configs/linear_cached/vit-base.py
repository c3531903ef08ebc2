# ImageNet-1K linear probing without random crops: features are computed once and kept; epochs cost seconds.
# Head, optimizer and schedule are those of configs/linear; the training view is the evaluation view. Not the published
# protocol: without augmentation scores differ. A cache of ViT-B features of ImageNet takes 3.9 GB in ~/.cache/cae_bench
# (CAE_BENCH_CACHE says another folder). Pooled features only: all tokens would be 388 GB.
_base_ = '../_base_/linear.py'

model = dict(
    probes=dict(
        _delete_=True,
        linear_cached=dict(
            _base_.model.probes.linear,
            view='eval',
            cached=True,
            source='head and optimizer: Atten4Vis/CAE tools/run_linear.py; features without augmentation: this project',
        ),
    )
)
train_dataloader = dict(dataset=dict(views=dict(_delete_=True, eval={{_base_.eval_view}}), once=['eval']))
