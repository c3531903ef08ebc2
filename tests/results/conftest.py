import pytest

from cae_bench.results import Dataset, Metric, Model, Record, fingerprint

SHA = 'a' * 64


@pytest.fixture
def make():
    """Records that differ only in what a test says."""

    def record(
        task='scenes/linear',
        value=50.0,
        model='cae',
        metric=None,
        ci95=None,
        metrics=None,
        sha256=SHA,
        num_val=200,
        data='data0',
        arch='vit-tiny',
        **fields,
    ) -> Record:
        dataset, protocol = task.split('/')
        name = metric or {'upernet': 'mIoU', 'mask_rcnn': 'bbox_mAP'}.get(protocol, 'top1')
        version, recipe = fields.pop('protocol_version', 1), fields.pop('recipe', 'mini')
        told = {k: fields[k] for k in ('overrides', 'limit', 'precision') if k in fields}
        parts = {'task': task, 'sha256': sha256, 'version': version, 'recipe': recipe, 'data': data, **told}
        return Record(
            **{
                **dict(
                    model=Model(
                        name=model,
                        family='cae',
                        arch=arch,
                        checkpoint='cae.pth',
                        sha256=sha256,
                        load_report={'used': {'encoder.norm.weight': 'norm.weight'}},
                    ),
                    dataset=Dataset(name=dataset, num_train=600, num_val=num_val, content_hash=data),
                    protocol=protocol,
                    protocol_version=version,
                    recipe=recipe,
                    config={'lr': 0.1},
                    fingerprint=fingerprint(parts),
                    metrics=metrics or {name: Metric(value=value, ci95=ci95)},
                    seed=0,
                    wall_time_s=1.5,
                    hardware={'cpu': 'x'},
                    packages={'torch': '2.12.0'},
                    git={'commit': 'c' * 40, 'dirty': False},
                    command='cae-bench run cae.pth',
                    started='2026-11-23T08:00:00+00:00',
                ),
                **fields,
            }
        )

    return record
