# The second base of every recipe in upernet_ms: twelve views of a validation image.
# Ratios 0.5 to 1.75 of a short side of 512, which never falls below the crop: the first three are one size, and count
# three times. The aspect is kept and long sides are not limited. Source: the multi-scale pipeline that CAE's configs
# hold in a comment (SETR_Resize, setr_multi_scale) and BEiT's test with.

multi_scale_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='mmseg.ResizeShortestEdge', scale=max(512, round(512 * ratio)), max_size=10**6)
                for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [
                dict(type='mmseg.RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='mmseg.RandomFlip', prob=1.0, direction='horizontal'),
            ],
            [dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'), num_classes=255)],
            [dict(type='mmseg.PackSegInputs')],
        ],
    ),
]
