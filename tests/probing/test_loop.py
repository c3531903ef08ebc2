"""The engine trains what a plain loop trains, whatever the micro-batch and the company of other heads."""

import frozen_runs
import pytest
import torch
import torch.nn.functional as F
from frozen_runs import config, draw_images, run, scores
from mmengine.config import Config

from cae_bench.errors import ConfigError, DataError


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp('images'))


@pytest.fixture(autouse=True)
def plain_config_text(monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: str(self.to_dict())))  # yapf takes seconds


SMALL = dict(batch_size=24, bn_group=8)


def weights(runner, name='linear', cell=0):
    return {k: v[cell].clone() for k, v in runner.model.probes[name].named_parameters()}


def close(a, b, **tolerance):
    for name in a:
        torch.testing.assert_close(
            a[name], b[name], msg=lambda m, n=name: f'{n}: {m}', **tolerance or dict(rtol=1e-4, atol=1e-6)
        )


def plain_linear_probing(runner, lr, epochs, batch, group, warmup):
    """Linear probing as a loop of its own: one head, torch's BatchNorm1d, LARS written out."""
    model, loader = runner.model, runner.train_dataloader
    norm = torch.nn.BatchNorm1d(32, affine=False, eps=1e-6)
    head = torch.nn.Linear(32, model.num_classes)
    fresh = frozen_runs.run_nothing(runner)
    head.weight.data, head.bias.data = fresh['weight'], fresh['bias']
    momentum = [torch.zeros_like(p) for p in head.parameters()]
    per_epoch = len(loader.dataset) // batch
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        labels = torch.cat([b['label'] for b in batches])
        images = torch.cat([b['views']['crop'] for b in batches])
        with torch.no_grad():
            x = model.backbone.forward_features((images.float() - model.mean) / model.std)[:, 0]
        for i in range(per_epoch):
            head.zero_grad()
            for start in range(i * batch, (i + 1) * batch, group):
                rows = slice(start, start + group)
                norm.train(start == i * batch)  # running statistics: first group only
                inputs = norm(x[rows]) if norm.training else F.batch_norm(x[rows], None, None, training=True, eps=1e-6)
                (F.cross_entropy(head(inputs), labels[rows]) * group / batch).backward()
            at = epoch + i / per_epoch
            rate = (
                lr * at / warmup
                if at < warmup
                else lr * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * (at - warmup) / (epochs - warmup))).item())
            )
            for p, mu in zip(head.parameters(), momentum):
                trust = 0.001 * p.data.norm() / p.grad.norm() if p.ndim > 1 else 1.0
                mu.mul_(0.9).add_(trust * p.grad)
                p.data.sub_(rate * mu)
    return dict(weight=head.weight.data, bias=head.bias.data), norm


def test_a_head_in_the_engine_ends_with_the_weights_of_a_plain_loop(data, tmp_path):
    runner = run(config('linear', data, tmp_path, epochs=3, grid=dict(lr=[0.3, 2.0, 9.0]), **SMALL))
    expected, norm = plain_linear_probing(runner, lr=2.0, epochs=3, batch=24, group=8, warmup=0.5)
    close(weights(runner, cell=1), expected)
    torch.testing.assert_close(runner.model.probes.linear.norm.running_mean, norm.running_mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(runner.model.probes.linear.norm.running_var, norm.running_var, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('protocol', ['linear', 'attentive'])
def test_a_head_in_a_grid_and_in_company_ends_with_the_weights_it_has_alone(data, tmp_path, protocol):
    alone = run(config(protocol, data, tmp_path, epochs=2, grid=dict(lr=[0.1], weight_decay=[0.0]), **SMALL))
    together = run(
        *[
            config(p, data, tmp_path, epochs=2, grid=dict(lr=[0.02, 0.1], weight_decay=[0.0, 0.01]), **SMALL)
            for p in ('linear', 'attentive')
        ],
        config('knn', data, tmp_path),
    )
    assert together.model.probes[protocol].cells[2] == dict(lr=0.1, weight_decay=0.0)
    close(weights(alone, protocol), weights(together, protocol, cell=2), rtol=1e-3, atol=1e-5)


def test_weights_do_not_depend_on_the_loaders_batch(data, tmp_path):
    ends = []
    for micro in (7, 10, 48):
        cfg = config('attentive', data, tmp_path, epochs=2, **SMALL)
        cfg.train_dataloader.batch_size = micro
        ends.append(weights(run(cfg), 'attentive'))
    close(ends[0], ends[1], rtol=1e-3, atol=1e-5)
    close(ends[0], ends[2], rtol=1e-3, atol=1e-5)


def test_all_protocols_of_a_pass_beat_chance_and_tell_of_every_image(data, tmp_path):
    runner = run(
        config('linear', data, tmp_path, epochs=8, grid=dict(lr=[0.5, 2.0]), **SMALL),
        config('attentive', data, tmp_path, epochs=8, **SMALL),
        config('knn', data, tmp_path),
    )
    metric, got = runner.val_evaluator.metrics[0], scores(runner)
    for name in ('linear', 'attentive', 'knn'):
        assert got[f'{name}/top1'] > 60, got  # chance is 33
        assert got[f'{name}/top5'] == 100
        low, high = metric.reports[name].ci95['top1']
        assert low < got[f'{name}/top1'] <= high + 1e-9
        columns = metric.reports[name].per_image.pack()
        assert list(columns) == ['image', 'label', 'prediction', 'correct']
        assert [len(c) for c in columns.values()] == [24] * 4
        assert 100 * sum(columns['correct']) / 24 == pytest.approx(got[f'{name}/top1'])
    assert metric.reports['linear'].per_image.images[0] == 'class0/0.png'
    assert [row['lr'] for row in metric.reports['linear'].selection['curve']] == [0.5, 2.0]
    assert metric.reports['knn'].selection['chosen'] == dict(k=20, temperature=0.07)
    assert not list(tmp_path.glob('bank_*')), 'the bank goes when its work is done'


def test_knn_alone_takes_one_pass_over_the_images(data, tmp_path):
    runner = run(config('knn', data, tmp_path))
    assert runner.epoch == 1 and scores(runner)['knn/top1'] > 60


def test_protocols_that_cannot_share_a_pass_are_told_apart(data, tmp_path):
    one, other = config('linear', data, tmp_path), config('attentive', data, tmp_path)
    other.model.precision = 'bfloat16'
    with pytest.raises(ConfigError, match=r'linear and attentive cannot share a pass: they differ in model.precision'):
        run(one, other)
    other = config('attentive', data, tmp_path, epochs=9)
    with pytest.raises(ConfigError, match='differ in train_cfg'):
        run(one, other)


def test_a_batch_larger_than_the_data_is_refused_before_anything_runs(data, tmp_path):
    with pytest.raises(ConfigError, match='batch of 64 is larger than the 48 training images'):
        run(config('linear', data, tmp_path, batch_size=64, bn_group=64))


def test_a_batch_that_is_no_multiple_of_its_group_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match='batch_size=20 is no multiple of bn_group=8'):
        run(config('linear', data, tmp_path, batch_size=20, bn_group=8))


def test_one_class_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='one class only'):
        run(config('linear', draw_images(tmp_path / 'one', classes=1), tmp_path, **SMALL))


def test_a_grid_with_a_diverging_head_reports_the_others(data, tmp_path):
    runner = run(config('attentive', data, tmp_path, epochs=2, grid=dict(lr=[1e38, 0.05]), **SMALL))
    curve = runner.val_evaluator.metrics[0].reports['attentive'].selection['curve']
    assert [row['diverged'] for row in curve] == [True, False]
    assert runner.val_evaluator.metrics[0].reports['attentive'].selection['chosen'] == dict(lr=0.05, weight_decay=0.0)
    assert all(torch.isfinite(w).all() for w in weights(runner, 'attentive', cell=1).values())


def test_every_further_pool_runs_in_the_same_pass(data, tmp_path):
    names = ('linear_meanpool', 'linear_cls_mean', 'linear_multilayer')
    lookups = ('knn', 'knn_meanpool', 'fewshot_1', 'fewshot_10')
    grid = dict(lr=[5.0], weight_decay=[0.0])
    runner = run(
        *[
            config(
                n,
                data,
                tmp_path,
                epochs=12,
                batch_size=8,
                bn_group=8,
                grid=dict(grid, layer='all', lr=[0.01]) if n == names[2] else grid,
            )
            for n in names
        ],
        *[config(n, data, tmp_path) for n in lookups],
    )
    got = scores(runner)
    assert all(got[f'{n}/top1'] > 50 for n in (*names, *lookups)), got
    layers = runner.val_evaluator.metrics[0].reports['linear_multilayer'].selection['curve']
    assert [row['layer'] for row in layers] == [1, 2]
    assert runner.model.probes.linear_cls_mean.weight.shape[-1] == 64


def test_features_of_one_forward_are_those_of_separate_forwards(data, tmp_path):
    from mmengine.runner import Runner

    model = Runner.from_cfg(config('linear', data, tmp_path, **SMALL)).model
    model.backbone.init_weights()
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    together = model.features(images, {'layers', 'cls', 'mean', 'cls_mean', 'tokens'})
    for name in ('cls', 'mean', 'cls_mean', 'tokens'):
        torch.testing.assert_close(together[name], model.features(images, {name})[name])
    taps = model.backbone.forward_tokens((images.float() - model.mean) / model.std, [0, 1])
    assert together['layers'].shape == (3, 2, 64)
    torch.testing.assert_close(together['layers'][:, 1, 32:], taps[1][:, 1:].mean(1))


def test_a_held_out_choice_stands_beside_the_published_one_and_changes_no_other_weight(data, tmp_path):
    grid = dict(lr=[1e-4, 2.0])
    plain = run(config('linear', data, tmp_path, epochs=4, grid=grid, **SMALL))
    cfg = config('linear', data, tmp_path, epochs=4, grid=grid, hold_out=True, **SMALL)
    cfg.train_dataloader.dataset.held_out = 0.25
    runner = run(cfg)
    close(weights(plain, cell=1), weights(runner, cell=1), rtol=0, atol=0)
    told = runner.val_evaluator.metrics[0].reports['linear'].selection
    best = max(range(2), key=lambda cell: told['held_out']['top1'][cell])
    assert told['held_out']['images'] == 12 and told['held_out']['cell']['lr'] == grid['lr'][best]
    assert scores(runner)['linear/top1_held_out'] == told['curve'][best]['top1_last'] == told['held_out']['reported']
    with pytest.raises(AssertionError):
        close(weights(runner, cell=1), {k: v[1] for k, v in runner.model.siblings['linear'].named_parameters()})


def test_fewer_images_than_shots_are_refused_before_anything_runs(data, tmp_path):
    with pytest.raises(ValueError, match='fewshot_10 takes 20 training images of each class'):
        run(config('fewshot_10', data, tmp_path, shots=20))


def test_an_image_that_cannot_be_decoded_is_named_or_by_wish_skipped_and_counted(tmp_path):
    data = draw_images(tmp_path / 'images')
    bad = data / 'train/class1/3.png'
    bad.write_bytes(bad.read_bytes()[:40])
    both = [
        config('linear', data, tmp_path, epochs=3, batch_size=8, bn_group=8),
        config('knn', data, tmp_path),
        config('fewshot_1', data, tmp_path),
    ]
    with pytest.raises(DataError, match='class1/3.png is no readable image'):
        run(*both)
    for cfg in both:
        cfg.train_dataloader.dataset.skip_corrupt = True
        cfg.experiment_name += 'again'
    runner = run(*both)
    reports = runner.val_evaluator.metrics[0].reports
    assert [reports[name].selection['skipped'] for name in ('linear', 'knn')] == [
        dict(count=1, images=['train/class1/3.png'])
    ] * 2
    assert scores(runner)['knn/top1'] > 50


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_proposes_a_micro_batch(data, tmp_path, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr('cae_bench.probing.model.FrozenProbes.features', fail)
    with pytest.raises(ConfigError, match=r'micro-batch of 10 images: try .*batch_size=5 .*for linear \(3 heads\)'):
        run(config('linear', data, tmp_path, grid=dict(lr=[1.0, 2.0, 3.0]), **SMALL))


def test_out_of_memory_in_validation_proposes_the_batch_of_validation(data, tmp_path, monkeypatch):
    def fail(*args):
        raise MemoryError

    monkeypatch.setattr('cae_bench.probing.model.FrozenProbes.val_step', fail)
    with pytest.raises(ConfigError, match=r'micro-batch of 10 images: try .*val_dataloader.batch_size=5'):
        run(config('knn', data, tmp_path))


def test_any_other_error_stays_what_it_is(data, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError('shapes differ')

    monkeypatch.setattr('cae_bench.probing.model.FrozenProbes.features', fail)
    with pytest.raises(RuntimeError, match='shapes differ'):
        run(config('linear', data, tmp_path, **SMALL))


def test_each_validation_says_the_best_head_and_the_start_says_how_the_batch_is_made(data, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('cae_bench.probing.hooks.say', said.append)
    run(config('attentive', data, tmp_path, epochs=2, grid=dict(lr=[1e38, 0.05]), **SMALL))
    assert 'attentive: published 3 x 8; here 1 process x 8, 3 groups a step, 2 steps an epoch, 2 heads' in said
    last = said[-1]
    assert last.startswith('epoch 2/2: attentive ') and '(lr 0.05), 1 diverged' in last and 'waiting for data' in last


def test_a_terminal_gets_a_bar_with_the_time_left_and_a_file_none(data, tmp_path, monkeypatch):
    from io import StringIO

    class Terminal(StringIO):
        def isatty(self):
            return True

    for stream, drawn in ((Terminal(), True), (StringIO(), False)):
        with monkeypatch.context() as patched:
            patched.setattr('sys.stderr', stream)
            patched.setenv('TERM', 'xterm')
            run(config('linear', data, tmp_path, epochs=2, **SMALL))
        shown = stream.getvalue()
        assert ('frozen pass' in shown and '100 %' in shown and '0:00:00' in shown) == drawn, shown[-500:]


def test_a_pass_that_fails_gives_the_terminal_back(data, tmp_path, monkeypatch):
    from io import StringIO

    terminal = StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr('cae_bench.probing.model.FrozenProbes.features', lambda *a: 1 / 0)
    monkeypatch.setattr('sys.stderr', terminal)
    monkeypatch.setenv('TERM', 'xterm')
    with pytest.raises(ZeroDivisionError):
        run(config('linear', data, tmp_path, **SMALL))
    hide, show = '\x1b[?25l', '\x1b[?25h'
    assert terminal.getvalue().count(hide) == terminal.getvalue().count(show) == 1
