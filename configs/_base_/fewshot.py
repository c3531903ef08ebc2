# Ridge regression on a few images of each class, in closed form, on the class token: big_vision's few-shot evaluator.
# A protocol gives the probe its name and the number of images: configs/fewshot_*.
_base_ = './frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        fewshot=dict(
            type='cae_bench.RidgeProbe',
            feature='cls',
            grid=dict(l2=[1024.0, 1.0, 32.0, 32768.0]),
            select='first',  # 2 ** 10, chosen beforehand; the record has the scores of the others too
            source='google-research/big_vision evaluators/fewshot_lsr.py',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
train_cfg = dict(max_epochs=1)
