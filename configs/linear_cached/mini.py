# Linear probing on features computed once: one forward an image, then four epochs of seconds. See vit-base.py here.
_base_ = '../_base_/linear_mini.py'

model = dict(
    probes=dict(
        _delete_=True,
        linear_cached=dict(
            _base_.model.probes.linear,
            view='eval',
            cached=True,
            source='head and optimizer: Atten4Vis/CAE tools/run_linear.py; the rest: this recipe',
        ),
    )
)
train_dataloader = dict(dataset=dict(views=dict(_delete_=True, eval={{_base_.eval_view}}), once=['eval']))
