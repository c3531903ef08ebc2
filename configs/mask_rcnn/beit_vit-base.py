# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images, BEiT-B. No published number is of this recipe.
# CAE's detection code cannot run BEiT: prepare_rpe.py, which should resize its relative tables, divides one side by
# itself and swaps height and width. Without them BEiT has no positions at all. So this is CAE's recipe with one part of
# our own: every block keeps its table of 14 x 14 and resizes it to the grid of each batch by the rule that BEiT's
# segmentation uses once, at load (geometric grid, cubic spline).
_base_ = '../_base_/mask_rcnn.py'

benchmark = dict(constants_of='cae_vit-base')
model = dict(
    backbone=dict(layer_scale_init_value=0.1, pos_embed='none', rel_pos_bias='block', img_size=224)
)  # the tables stay as they were pretrained
optim_wrapper = dict(optimizer=dict(lr=3e-4), paramwise_cfg=dict(layer_decay_rate=0.75))
