"""What a record keeps of a finished run besides its scores."""

from types import SimpleNamespace

import pytest

from cae_bench.runs.make_record import _Findings


def findings(protocol, history, *metrics, **hook):
    kept = [dict(iteration=i, scores=scores) for i, scores in enumerate(history)]
    runner = SimpleNamespace(
        hooks=[SimpleNamespace(**hook)],
        message_hub=SimpleNamespace(get_info=lambda key: kept),
        val_evaluator=SimpleNamespace(metrics=[SimpleNamespace(**m) for m in metrics]),
    )
    return _Findings(runner, protocol, shares_pass=any('/' in name for name in history[-1]))


def test_classes_and_errors_of_a_detection_are_kept_although_they_are_nested(tmp_path):
    metric = dict(per_class={'bbox': {'car': 1.5, 'bus': float('nan')}}, details={'errors': {'bbox': {'cost': {}}}})
    extra = findings('mask_rcnn', [{'bbox_mAP': 1.0}, {'bbox_mAP': 2.0}], metric).extra(tmp_path)
    assert extra['per_class'] == {'bbox': {'car': 1.5, 'bus': None}} and 'bbox' in extra['details']['errors']
    assert [scores['bbox_mAP'] for scores in extra['history']] == [1, 2]


@pytest.mark.parametrize('history', [[{'linear/top1': 1.0, 'knn/top1': 2.0}], [{'knn/top1': 2.0}]])
def test_what_belongs_to_another_protocol_of_the_pass_is_left_out(history, tmp_path):
    told = findings('knn', history, dict(selection={'linear': {'by': 'paper'}}, per_image={'knn': {'image': ['a']}}))
    assert told.about('selection') is None and told.about('per_image') == {'image': ['a']}


def test_pictures_are_named_from_the_results_folder(tmp_path):
    told = findings('upernet', [{'mIoU': 1.0}], pictures=[str(tmp_path / 'work_dirs' / 'm' / 'pictures' / '1-a.png')])
    assert told.extra(tmp_path)['pictures'] == ['work_dirs/m/pictures/1-a.png']


def test_an_interval_that_misses_its_value_is_widened_to_hold_it():
    """Seventy-five classes seen in one image each and never found: draws leave a third of them out, and score higher."""
    metric = dict(ci95={'mIoU': (28.0, 34.0), 'aAcc': (60.0, 70.0)})
    told = findings('upernet', [{'mIoU': 25.0, 'aAcc': 65.0, 'mAcc': 40.0}], metric)
    assert told.score('mIoU') == (25.0, (25.0, 34.0))
    assert told.score('aAcc') == (65.0, (60.0, 70.0)) and told.score('mAcc') == (40.0, None)
