# Ridge regression on 2 images of each class, in closed form, on the class token.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        fewshot_2=dict(
            type='cae_bench.RidgeProbe',
            feature='cls',
            shots=2,
            grid=dict(l2=[1024.0, 1.0, 32.0, 32768.0]),
            select='first',  # 2 ** 10, chosen beforehand; the others are told beside it
            source='google-research/big_vision evaluators/fewshot_lsr.py',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1)
