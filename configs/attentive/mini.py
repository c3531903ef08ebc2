# Attentive probing in minutes, for any ViT and any image folder: the paper's head at a batch that fits small data.
# Not comparable with published attentive probing: small input, few epochs, a milder crop shared with other heads.
_base_ = '../_base_/frozen_mini.py'

benchmark = dict(version=3)
model = dict(
    probes=dict(
        attentive=dict(
            type='cae_bench.AttentiveProbe',
            feature='tokens',
            view='crop',
            bn_eps=1e-5,
            eval_batch_stats=None,
            grid=dict(lr=[0.01, 0.03, 0.1], weight_decay=[0.0]),
            batch_size=32,
            bn_group=32,
            optimizer=dict(type='cae_bench.StackedSGD', momentum=0.9, nesterov=True),
            schedule=dict(type='cosine_table', warmup_epochs=0.5, min_lr=1e-6),
            select='last',
            source='head: CAE run_attentive.py; batch, lr and schedule: this recipe',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(crop={{_base_.crop_view}})))
