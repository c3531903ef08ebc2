# A linear layer on every block, in minutes: where in the depth the information sits. Not comparable with
# published scores.
_base_ = '../_base_/frozen_mini.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        linear_multilayer=dict(
            type='cae_bench.LayerProbe',
            feature='layers',
            view='crop',
            init_std=0.01,
            grid=dict(layer='all', lr=[2e-3], weight_decay=[1e-4]),
            batch_size=32,
            bn_group=32,
            optimizer=dict(type='cae_bench.StackedAdamW', betas=(0.9, 0.999), eps=1e-8),
            schedule=dict(type='cosine_per_epoch', warmup_epochs=0, min_lr=0.0),
            select='last',
            source='heads: microsoft/unilm beit/run_linear_eval.py; batch, lr and schedule: this recipe',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(crop={{_base_.crop_view}})))
