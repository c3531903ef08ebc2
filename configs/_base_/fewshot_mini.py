# fewshot.py on small input, in under a minute. Not comparable with published scores.
_base_ = './frozen_mini.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        fewshot=dict(
            type='cae_bench.RidgeProbe',
            feature='cls',
            grid=dict(l2=[1024.0, 1.0, 32.0, 32768.0]),
            select='first',
            source='google-research/big_vision evaluators/fewshot_lsr.py',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1, val_interval=1)
