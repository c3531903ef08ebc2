"""What a record keeps of a finished run besides its scores."""

import pytest

from cae_bench.evaluation.score_report import ReportingMetric, ScoreReport, report_of, scores_of
from cae_bench.runs.make_record import extra_of


class Reporting(ReportingMetric):
    """A metric whose reports are given: protocol -> ScoreReport."""

    def __init__(self, reports):
        super().__init__()
        self.reports = reports

    def process(self, data_batch, data_samples):
        raise NotImplementedError

    def compute_metrics(self, results):
        raise NotImplementedError

    def report_of(self, protocol):
        return self.reports.get(protocol)


def test_classes_and_errors_of_a_detection_are_kept_although_they_are_nested(tmp_path):
    report = ScoreReport(
        {'bbox_mAP': 2.0},
        per_class={'bbox': {'car': 1.5, 'bus': float('nan')}},
        details={'errors': {'bbox': {'cost': {}}}},
    )
    history = scores_of('mask_rcnn', [{'bbox_mAP': 1.0}, {'bbox_mAP': 2.0}])
    extra = extra_of(report, history, [], tmp_path)
    assert extra['per_class'] == {'bbox': {'car': 1.5, 'bus': None}} and 'bbox' in extra['details']['errors']
    assert [scores['bbox_mAP'] for scores in extra['history']] == [1, 2]


@pytest.mark.parametrize('history', [[{'linear/top1': 1.0, 'knn/top1': 2.0}], [{'knn/top1': 2.0}]])
def test_what_belongs_to_another_protocol_of_the_pass_is_left_out(history):
    metric = Reporting({'linear': ScoreReport({'top1': 1.0}, selection={'by': 'paper'})})
    found = report_of([metric], 'knn', history[-1])
    assert found.selection is None and found.values == {'top1': 2.0}
    assert scores_of('knn', history) == [{'knn/top1': 2.0}]
    assert report_of([metric], 'linear', history[-1]).selection == {'by': 'paper'}


def test_a_validation_before_the_first_score_of_a_protocol_is_empty_in_its_history():
    history = [{'linear/top1': 1.0}, {'linear/top1': 1.0, 'knn/top1': 2.0}]
    assert scores_of('knn', history) == [{}, {'knn/top1': 2.0}]


def test_pictures_are_named_from_the_results_folder(tmp_path):
    picture = str(tmp_path / 'work_dirs' / 'm' / 'pictures' / '1-a.png')
    extra = extra_of(ScoreReport({'mIoU': 1.0}), [{'mIoU': 1.0}], [picture], tmp_path)
    assert extra['pictures'] == ['work_dirs/m/pictures/1-a.png']


def test_an_interval_that_misses_its_value_is_widened_to_hold_it():
    """Seventy-five classes seen in one image each and never found: draws leave a third of them out, and score higher."""
    report = ScoreReport({'mIoU': 25.0, 'aAcc': 65.0, 'mAcc': 40.0}, {'mIoU': (28.0, 34.0), 'aAcc': (60.0, 70.0)})
    assert report.interval('mIoU') == (25.0, 34.0)
    assert report.interval('aAcc') == (60.0, 70.0) and report.interval('mAcc') is None
