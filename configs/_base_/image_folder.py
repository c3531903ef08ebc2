# Classification of any data in an image folder, as fine-tuning reads and scores it. No model here.

benchmark = dict(
    version=2,
    layout='image_folder',
    frozen=False,
    metrics=dict(top1=dict(unit='%', higher_is_better=True), top5=dict(unit='%', higher_is_better=True)),
    fit={
        f'{split}_dataloader.dataset.{key}': what
        for split in ('train', 'val')
        for key, what in (
            ('data_root', 'data_root'),
            ('split_dir', f'{split}_dir'),
            ('classes', 'classes'),
            ('limit', 'limit'),
        )
    }
    | {
        f'{place}.{key}': key
        for key in ('mean', 'std')
        for place in ('train_dataloader.dataset.transform', 'val_dataloader.dataset.transform.NormalizeImage')
    }
    | {'model.num_classes': 'num_classes'},
)

train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='cae_bench.ImageFolder', data_root='data/imagenet', split_dir='train', classes=None, limit=None),
)
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='cae_bench.ImageFolder', data_root='data/imagenet', split_dir='val', classes=None, limit=None),
)
val_evaluator = dict(type='cae_bench.Accuracy')
val_cfg = dict(type='ValLoop')

default_scope = 'mmengine'
