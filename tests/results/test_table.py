import csv
import io
import json

import pytest

from cae_bench.errors import ConfigError, RecordError
from cae_bench.results import Metric, build_table, list_models, load_records, render, write_record


def cells(table) -> dict:
    """{(model, head): shown text} of a table, from its JSON."""
    data = json.loads(render(table, 'json'))
    return {(row['model'], head): cell and cell['value'] for row in data['rows'] for head, cell in row['cells'].items()}


@pytest.fixture
def fill(make, tmp_path):
    def write(*records):
        for record in records:
            write_record(tmp_path, record)
        return tmp_path

    return write


GOLDEN = """\
**Measured by cae-bench**

Data scenes, recipe mini, protocol version 1. The mini recipe cuts schedules to minutes: not the paper's recipe, not \
comparable with published numbers.

| model           | arch     | source   | linear top-1 | mIoU |          box AP | mask AP |
| :-------------- | :------- | :------- | -----------: | ---: | --------------: | ------: |
| cae             | vit-tiny | measured |    50.0 ±2.5 |    – |            30.2 |    20.0 |
| random:vit-tiny | vit-tiny | measured |            – | 61.3 | 11.0 ±1.0 (3) a |       – |

- a: with limit=64.
- ± is half the 95 % confidence interval of one run over the validation images.
- ± with (n) is the standard deviation over n seeds."""


@pytest.fixture
def small(make, fill):
    boxes = {'bbox_mAP': Metric(value=30.24), 'segm_mAP': Metric(value=20.0), 'bbox_mAP_50': Metric(value=50.0)}
    other = {'model': 'random:vit-tiny', 'sha256': None}
    seeds = [make('scenes/mask_rcnn', value=v, seed=i, limit=64, **other) for i, v in enumerate((10.0, 11.0, 12.0))]
    return fill(
        make(ci95=(47.0, 52.0)),
        make('scenes/mask_rcnn', metrics=boxes),
        make('scenes/upernet', value=61.25 + 1e-9, **other),
        *seeds,
    )


def test_the_markdown_table_is_this_text(small):
    assert render(build_table(small)) == GOLDEN


def test_seeds_become_mean_and_sample_deviation(small):
    data = json.loads(render(build_table(small), 'json'))
    cell = data['rows'][1]['cells']['box AP']
    assert (cell['value'], cell['std'], cell['n']) == (11.0, 1.0, 3)  # 10, 11, 12
    assert len(cell['evidence']) == 3 and cell['kind'] == 'measured' and 'ci95' not in cell


def test_csv_has_numbers_in_full_and_a_dash_for_what_is_missing(small):
    rows = list(csv.DictReader(io.StringIO(render(build_table(small), 'csv'))))
    name = 'scenes/mask_rcnn bbox_mAP (mini, v1)'
    assert rows[0][name] == '30.24' and rows[0]['scenes/upernet mIoU (mini, v1)'] == '-'
    assert (rows[1][name], rows[1][f'{name} ±'], rows[1][f'{name} n']) == ('11', '1', '3')
    assert rows[1]['notes'] == f'{name}: limit=64'


def test_a_missing_cell_is_null_in_json(small):
    data = json.loads(render(build_table(small), 'json'))
    assert data['rows'][0]['cells']['mIoU'] is None
    assert data['columns'][0] == {
        'head': 'linear top-1',
        'dataset': 'scenes',
        'protocol': 'linear',
        'metric': 'top1',
        'recipe': 'mini',
        'version': 1,
        'variant': None,
        'data': None,
        'unit': '%',
    }


def test_the_terminal_text_keeps_every_line_within_the_width(small):
    text = render(build_table(small), 'text')
    assert max(map(len, text.splitlines())) <= 120 and '50.0 ±2.5' in text and '–' in text


def test_latex_and_html_escape_what_would_break_them(make, fill):
    table = build_table(fill(make(model=r'a_b & <c> 100% $x {y} \z #1 ~^')))
    tex, page = render(table, 'latex'), render(table, 'html')
    assert (
        r'a\_b \& \textless{}c\textgreater{} 100\% \$x \{y\} \textbackslash{}z \#1 '
        r'\textasciitilde{}\textasciicircum{} & '
    ) in tex
    assert tex.count('{') == tex.count('}') and r'\begin{tabular}{lllr}' in tex
    assert '<td style="text-align:left">a_b &amp; &lt;c&gt; 100% $x {y} \\z #1 ~^</td>' in page


def test_a_pipe_in_a_model_name_does_not_break_the_markdown(make, fill):
    assert r'| a\|b' in render(build_table(fill(make(model='a|b'))))


def test_an_unknown_format_gets_the_nearest_names(small):
    with pytest.raises(ConfigError, match="no table format named 'markdwn'. Did you mean markdown"):
        render(build_table(small), 'markdwn')


@pytest.mark.parametrize(
    'change, heads',
    [
        (dict(recipe='paper'), ['linear top-1', 'linear top-1 (mini)']),
        (dict(protocol_version=2), ['linear top-1 (v2)', 'linear top-1 (v1)']),
        (dict(data='ffffffffffff'), ['linear top-1 (data data0)', 'linear top-1 (data ffffffff)']),
    ],
)
def test_other_recipes_versions_and_data_are_other_columns(make, fill, change, heads):
    table = build_table(fill(make(value=50.0), make(value=60.0, **change)))
    assert list(table.heads) == heads
    assert sorted(len(row.cells) for row in table.rows) == [2]


def test_versions_are_said_once_where_no_two_columns_need_them(make, fill):
    table = build_table(fill(make(), make('scenes/knn'), make('scenes/attentive', protocol_version=2)))
    assert table.heads == ('k-NN top-1', 'linear top-1', 'attentive top-1')
    assert table.caption[0] == 'Data scenes, recipe mini, protocol version 1 (attentive: 2).'
    both = build_table(fill(make(value=60.0, protocol_version=2)))
    assert both.heads == ('k-NN top-1', 'linear top-1 (v2)', 'linear top-1 (v1)', 'attentive top-1')
    assert both.caption[0] == 'Data scenes, recipe mini, protocol version 1 (attentive: 2).'


def test_other_data_sets_are_other_columns(make, fill):
    assert build_table(fill(make(), make('cifar10/linear'))).heads == ('cifar10 linear top-1', 'scenes linear top-1')


def test_a_run_with_other_settings_is_a_row_of_its_own_with_its_setting_named(make, fill):
    later = make(value=60.0, seed=1, overrides={'lr': 1}, started='2026-11-24T08:00:00+00:00')
    table = build_table(fill(make(value=50.0), later))
    assert [(row.source[:14], [(c.value, c.n) for c in row.cells.values()]) for row in table.rows] == [
        ('measured', [(60.0, 1)]),
        ('measured, run ', [(50.0, 1)]),
    ]
    assert 'a: with lr=1.' in table.footnotes


def test_two_checkpoints_of_one_name_are_two_rows(make, fill):
    table = build_table(fill(make(value=50.0), make(value=60.0, sha256='b' * 64, seed=1)))
    assert [row.model for row in table.rows] == ['cae (aaaaaaaa)', 'cae (bbbbbbbb)']


def test_what_all_runs_changed_is_said_once_above_the_table(make, fill):
    table = build_table(fill(make(overrides={'shorten': 0.1}), make('scenes/knn', overrides={'shorten': 0.1})))
    assert table.caption[-1] == 'Changed in every run: shorten=0.1.' and 'shorten' not in ' '.join(table.footnotes)


def test_failed_runs_are_not_shown(make, fill):
    folder = fill(make())
    (path,) = folder.rglob('*.json')
    path.write_text(path.read_text().replace('"status": "ok"', '"status": "failed"'))
    with pytest.raises(RecordError, match='no finished record yet. Make one with `cae-bench run`'):
        build_table(folder)


def test_settings_that_cannot_move_a_score_are_no_footnote(make, fill):
    idle = {'train_dataloader.num_workers': 0, 'val_dataloader.pin_memory': False, 'log_level': 'ERROR'}
    folder = fill(
        make(),
        make('scenes/knn', overrides=idle),
        make('scenes/attentive', overrides={**idle, 'lr': 0.1}),
    )
    table = build_table(folder)
    assert [(cell.setting, cell.mark) for cell in table.rows[0].cells.values()] == [
        (None, ''),
        (None, ''),
        ('lr=0.1', 'a'),
    ]
    assert 'num_workers' not in render(table, 'json') and 'num_workers' not in render(table, 'csv')


def test_only_the_models_asked_for_are_shown(make, fill):
    table = build_table(fill(make(), make(model='mae')), models=['mae'])
    assert [row.model for row in table.rows] == ['mae']


def test_how_hyper_parameters_were_chosen_is_said(make, fill):
    chosen = make(selection={'by': 'held-out', 'chosen': {'lr': 0.1}})
    assert (
        build_table(fill(chosen)).footnotes[-1]
        == 'Hyper-parameters of linear were chosen on a held-out part of the training images.'
    )


def test_a_damaged_record_is_warned_about_and_the_others_are_shown(make, fill, small):
    bad = small / 'measured/cae/scenes/linear/broken.json'
    bad.write_text('{')
    table = build_table(small)
    assert render(table) == GOLDEN and len(table.warnings) == 1 and table.warnings[0].startswith(str(bad))


def test_the_table_of_the_paper_shows_the_published_numbers():
    found = cells(build_table(None, suite='cae_paper'))
    table = build_table(None, suite='cae_paper')
    row = next(row for row in table.rows if (row.model, row.arch, row.epochs) == ('CAE', 'ViT-B/16', 1600))
    assert [row.cells[column].value for column in table.columns] == [70.3, 77.2, 83.9, 50.3, 50.3, 44.2]
    row = next(row for row in table.rows if (row.model, row.arch, row.epochs) == ('MAE', 'ViT-L/16', 1600))
    assert [row.cells[column].value for column in table.columns] == [76.0, 78.8, 86.0, 53.6, 54.0, 47.1]
    assert found['BEiT', 'ade20k mIoU'] is None  # only measured under another recipe than CAE's


def test_a_row_of_two_sources_cites_them_cell_by_cell():
    lines = render(build_table(None, suite='cae_paper')).splitlines()
    row = next(line for line in lines if line.startswith('| BEiT') and '| 800' in line and 'ViT-B' in line)
    assert '41.8 [3]' in row and '51.9 [3]' in row and '83.2 [4]' in row and '[3,4]' in row
    assert '- [4] BEiT paper (arXiv 2106.08254), https://arxiv.org/abs/2106.08254' in lines


def test_secondary_sources_are_marked():
    text = render(build_table(None, suite='cae_paper'))
    assert '51.8†' in text and '† quoted by the cited text; the original was not read.' in text
    assert '70.3†' not in text


def test_how_the_protocols_of_one_column_differ_is_said():
    notes = build_table(None, suite='cae_paper').footnotes
    finetune = next(note for note in notes if note.startswith('in1k/finetune: '))
    assert '[1] linear, end-to-end fine-tune 224; 100 ep, lr 8e-3' in finetune and '[4] 100 ep, bs 1024' in finetune


def test_three_detection_recipes_are_three_columns():
    table = build_table(None, suite='coco_recipes')
    row = next(row for row in table.rows if (row.model, row.arch) == ('MAE', 'ViT-B/16'))
    boxes = {h: row.cells[c].value for c, h in zip(table.columns, table.heads) if c.metric == 'bbox_mAP'}
    assert boxes == {'Mask R-CNN box AP': 48.4, 'Mask R-CNN box AP (mae-tuned)': 50.3, 'ViTDet box AP': 51.6}


def test_measured_paper_rows_share_the_published_column_and_mini_rows_do_not(make, fill):
    official = dict(num_val=50_000, model='mine')
    paper, mini = make('in1k/linear', 66.0, recipe='paper', **official), make('in1k/linear', 5.0, **official)
    table = build_table(fill(paper, mini), suite='cae_paper')
    by_head = {
        h: {row.model: row.cells[c].value for row in table.rows if c in row.cells}
        for c, h in zip(table.columns, table.heads)
    }
    assert by_head['in1k linear top-1']['mine'] == 66.0 and by_head['in1k linear top-1']['CAE'] == 77.8
    assert by_head['in1k linear top-1 (mini)'] == {'mine': 5.0}


def test_a_folder_that_only_bears_an_official_name_does_not_share_the_published_column(make, fill):
    table = build_table(fill(make('in1k/linear', 66.0, recipe='paper', num_val=500)), suite='cae_paper')
    column = next(c for c, h in zip(table.columns, table.heads) if h == 'in1k linear top-1 (500 val images)')
    assert [row.model for row in table.rows if column in row.cells] == ['cae']


def test_published_numbers_stand_beside_the_newest_version_only(make, fill):
    official = dict(recipe='paper', num_val=50_000)
    old, new = make('in1k/linear', 60.0, **official), make('in1k/linear', 61.0, protocol_version=2, **official)
    table = build_table(fill(old, new))
    counts = {
        h: sum(not row.measured and c in row.cells for row in table.rows) for c, h in zip(table.columns, table.heads)
    }
    assert counts['linear top-1 (v1)'] == 0 and counts['linear top-1 (v2)'] > 5


def test_methods_can_be_chosen_whatever_their_case():
    table = build_table(None, suite='cae_paper', published=['mae', 'beit'])
    assert {row.model for row in table.rows} == {'MAE', 'BEiT'}


def test_methods_beyond_the_suite_come_with_a_row_for_each_source():
    table = build_table(None, suite='cae_paper', published=['MAE', 'CrossMAE', 'I-JEPA', 'EVA MAE-style', 'supervised'])
    assert {row.model for row in table.rows} == {'MAE'}  # the others were only probed under variants
    seeds = build_table(None, suite='coco_recipes', published=['supervised', 'iBOT'])
    assert {row.model for row in seeds.rows} == {'supervised'}


def test_an_unknown_method_gets_the_nearest_names():
    with pytest.raises(ConfigError, match="no published method named 'maee'. Did you mean mae"):
        build_table(None, suite='cae_paper', published=['CAE', 'maee'])


def test_methods_that_fit_no_column_are_said_so(make, fill):
    assert build_table(fill(make()), published=['MAE']).warnings == (
        'no published number fits these columns; name a suite, e.g. --suite cae_paper',
    )


def test_seeds_given_by_a_source_become_mean_and_deviation(tmp_path):
    suite = tmp_path / 'seeds.yml'
    suite.write_text(
        'title: Seeds\nrecipe: paper\ntasks: [{task: in1k/finetune, metrics: [top1]}]\n'
        'published: [{file: mae_repo, sources: [finetune_md]}]\n'
    )
    table = build_table(None, suite=str(suite))
    row = next(row for row in table.rows if row.arch == 'ViT-B/16')
    assert row.cells[table.columns[0]].value == 83.664  # the released checkpoint stands before the seeds
    assert [value for value, _ in row.cells[table.columns[0]].others] == [83.63, 83.66, 83.52, 83.46]


def test_a_suite_with_nothing_to_show_says_how_to_fill_it(tmp_path):
    with pytest.raises(RecordError, match='suite mini: nothing was measured or published.*--suite mini'):
        build_table(tmp_path, suite='mini')


def test_a_suite_without_a_results_folder_shows_published_numbers_and_says_so(tmp_path):
    table = build_table(tmp_path / 'nowhere', suite='cae_paper')
    assert len(table.rows) > 10 and 'no such results folder' in table.warnings[0]


def test_without_a_suite_a_missing_results_folder_is_an_error(tmp_path):
    with pytest.raises(RecordError, match='no such results folder'):
        build_table(tmp_path / 'nowhere')


def test_a_metric_that_is_no_percentage_keeps_its_own_digits(make, fill):
    table = build_table(fill(make(metrics={'loss': Metric(value=0.0125, unit='nats', higher_is_better=False)})))
    assert table.heads == ('linear loss',) and '| 0.0125 |' in render(table).replace('      ', ' ')


def test_models_are_listed_with_what_was_measured(make, fill):
    records = load_records(fill(make(), make('scenes/knn'), make(model='mae', recipe='paper')))
    assert list_models(records) == [
        ('cae', 'vit-tiny', 'scenes/knn (mini), scenes/linear (mini)'),
        ('mae', 'vit-tiny', 'scenes/linear (paper)'),
    ]


def test_a_copied_record_does_not_count_as_a_second_seed(make, fill, small):
    path = next((small / 'measured/cae/scenes/linear').glob('*.json'))
    path.with_name('copy.json').write_text(path.read_text())
    assert render(build_table(small)) == GOLDEN


def test_a_series_of_seeds_alone_becomes_mean_and_deviation():
    from cae_bench.results import load_published
    from cae_bench.results.columns import Column
    from cae_bench.results.published_rows import published_rows

    seeds = [n for n in load_published(['mae_repo']) if n.seed and n.model.arch == 'vit-base']
    column = Column('in1k', 'finetune', 'top1', 'paper')
    (row,), _, _ = published_rows(seeds, [column], len(seeds))
    cell = row.cells[column]  # the source itself says 83.57 and 0.08
    assert (round(cell.value, 2), round(cell.std, 1), cell.n) == (83.57, 0.1, 4)


def test_scores_selected_otherwise_stand_below_the_table(make, fill):
    def scored(top1, last, held_out, by='paper', **fields):
        metrics = {'top1': Metric(value=top1), 'top1_last': Metric(value=last), 'top1_held_out': Metric(value=held_out)}
        return make(metrics=metrics, selection={'by': by, 'chosen': {'lr': 0.1}}, **fields)

    table = build_table(
        fill(
            scored(70.0, 69.0, 68.0),
            scored(72.0, 71.0, 66.0, seed=1),
            scored(50.0, 50.0, 40.0, 'last epoch', model='mae'),
        )
    )
    assert list(table.heads) == ['linear top-1']
    assert table.footnotes[-2:] == (
        'linear top-1 by held-out training images: cae 67.0, mae 40.0.',
        'linear top-1 in the last epoch: cae 70.0.',
    )
    assert json.loads(render(table, 'json'))['rows'][0]['cells']['linear top-1']['otherwise'] == [
        ['held-out', 67.0],
        ['last epoch', 70.0],
    ]


def test_further_scores_of_the_same_head_stand_below_the_table_whatever_was_selected(make, fill):
    def scored(task, beside, selection, **fields):
        return make(
            task=task,
            metrics={'top1': Metric(value=72.0), f'top1_{beside}': Metric(value=73.0)},
            selection=selection,
            **fields,
        )

    table = build_table(
        fill(
            scored('scenes/attentive', 'running_stats', {'by': 'paper', 'chosen': {'lr': 0.4}}),
            scored('scenes/finetune', 'best_epoch', None),
        )
    )
    assert 'attentive top-1 by running statistics of batch norm: cae 73.0.' in table.footnotes
    assert 'fine-tune top-1 in the epoch that is best on the validation images: cae 73.0.' in table.footnotes


def test_one_folder_read_in_two_layouts_is_not_two_data_sets(make, tmp_path):
    """Each layout has its own file list and so its own hash; only within a task do two hashes mean other data."""
    for task, data in (
        ('scenes/linear', 'aaaaaaaa0'),
        ('scenes/upernet', 'bbbbbbbb0'),
        ('scenes/knn_meanpool', 'aaaaaaaa0'),
    ):
        write_record(tmp_path, make(task=task, data=data), None)
    assert list(build_table(tmp_path).heads) == ['k-NN, mean top-1', 'linear top-1', 'mIoU']


def test_official_validation_images_are_as_many_as_the_layouts_say():
    from cae_bench.datasets.layouts import all_layouts, official_names
    from cae_bench.results.columns import OFFICIAL_VAL

    released = {name: release.num_val for layout in all_layouts().values() for name, release in layout.released.items()}
    assert released == OFFICIAL_VAL and set(OFFICIAL_VAL) == set(official_names())
