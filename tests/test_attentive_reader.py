"""The Attentive Reader: gradients, what must not change its answers, population statistics, and what it refuses."""

import math

import numpy as np
import pytest
import reader_checks as checks
from reader_checks import READER_CHECKS, E, V, make_questions, make_reader, reader_statistics

import minibn
from minibn.models import READERS
from minibn.training.population import estimate_population_statistics

EVERY_VARIANT = pytest.mark.parametrize("variant", READERS)
EVERY_ROWS = pytest.mark.parametrize("rows", ["live", "all"])
NORMALIZED = [name for name in READERS if make_reader(name, np.random.default_rng(0)).terms]


@pytest.mark.parametrize("name", READER_CHECKS)
def test_gradients(name):
    READER_CHECKS[name]()


@pytest.mark.parametrize("name", [name for name in READER_CHECKS if not name.startswith("reader")])
def test_gradients_by_central_differences(name):
    READER_CHECKS[name](method="central")


@EVERY_VARIANT
@pytest.mark.parametrize("given", ["x", "all"])
def test_gradients_where_statistics_are_given(variant, given):
    """Of all terms, or of those that a first stage has estimated."""
    if variant in NORMALIZED:
        checks.check_reader(variant, given=given, rows="all", skip=True)


@EVERY_VARIANT
@EVERY_ROWS
def test_the_kernels_give_the_same(variant, rows):
    """One update's loss and gradients, where a row lives alone and a step is dead. In float64 both round at 1e-16, and
    batch norm over nearly equal rows multiplies by up to 1/sqrt(eps) a time."""
    def problem(engine):
        rng = np.random.default_rng(5)
        reader = make_reader(variant, rng, rows=rows, skip=True, engine=engine)
        loss, grads = reader.loss_and_grads(make_questions(rng), rng.integers(0, E, 5))
        return {"loss": loss, **grads}

    found, expected = problem("kernels"), problem("equations")
    for name, value in expected.items():
        scale = max(np.abs(value).max(), 1e-3)       # below, a gradient is the rounding of what cancels
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9 * scale, err_msg=name)


# What must not change the answers


def padded(questions, steps):
    """The same with more padding, of words that are never read."""
    def longer(array, fill):
        return np.concatenate([array, np.full((steps, array.shape[1]), fill, array.dtype)])

    return minibn.Questions(*(longer(array, fill) for array, fill in zip(questions, (2, False, 2, False), strict=True)))


@EVERY_VARIANT
@EVERY_ROWS
@pytest.mark.parametrize("given", [False, True])
def test_more_padding_changes_nothing(variant, rows, given):
    """But where all rows count in P_d d_t, the padded ones too: BN-everywhere as the authors have it."""
    rng = np.random.default_rng(6)
    reader, questions = make_reader(variant, rng, rows=rows, skip=True), make_questions(rng)
    statistics = reader_statistics(reader, rng) if given and reader.terms else None
    difference = np.abs(reader.logits(padded(questions, 4), statistics) - reader.logits(questions, statistics)).max()
    if variant == "bn_everywhere" and rows == "all" and not given:
        assert difference > 1e-3
    else:
        assert difference < 1e-12


@EVERY_VARIANT
@EVERY_ROWS
def test_the_order_of_the_examples_does_not_matter(variant, rows):
    rng = np.random.default_rng(7)
    reader, questions, order = make_reader(variant, rng, rows=rows), make_questions(rng), rng.permutation(5)
    permuted = reader.logits(minibn.Questions(*(array[:, order] for array in questions)))
    np.testing.assert_allclose(permuted, reader.logits(questions)[order], rtol=1e-10, atol=1e-12)


@EVERY_VARIANT
def test_other_names_for_the_labels_permute_the_logits(variant):
    """Words 3, 4, 5 are the names here: another numbering in text, table and output."""
    rng = np.random.default_rng(8)
    reader, questions, order = make_reader(variant, rng), make_questions(rng), np.array([2, 0, 1])
    number = np.arange(V)
    number[3:6] = 3 + order
    renamed = reader.map_params(np.copy)
    renamed.params["M"][number] = reader.params["M"]
    renamed.params["W_y"][:, order] = reader.params["W_y"]
    renamed.params["b_y"][order] = reader.params["b_y"]
    asked = questions._replace(passage=number[questions.passage], question=number[questions.question])
    np.testing.assert_allclose(renamed.logits(asked)[:, order], reader.logits(questions), rtol=1e-12, atol=1e-13)


@EVERY_VARIANT
@EVERY_ROWS
def test_with_given_statistics_an_example_alone_is_as_in_a_batch(variant, rows):
    rng = np.random.default_rng(9)
    reader, questions = make_reader(variant, rng, rows=rows, skip=True), make_questions(rng)
    statistics = reader_statistics(reader, rng) if reader.terms else None
    together = reader.logits(questions, statistics)
    for n in range(5):
        alone = reader.logits(minibn.Questions(*(array[:, n : n + 1] for array in questions)), statistics)
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-11, atol=1e-13)


@EVERY_VARIANT
@EVERY_ROWS
@pytest.mark.parametrize("engine", ["equations", "kernels"])
def test_empty_texts_and_a_single_live_row_stay_finite(variant, rows, engine):
    """Data with an empty text are refused; the model survives it, and answers from what is left."""
    rng = np.random.default_rng(10)
    reader = make_reader(variant, rng, rows=rows, skip=True, bilinear=True, engine=engine)
    questions = make_questions(rng, (5, 1, 0, 1, 1), (3, 0, 1, 1, 0))
    with np.errstate(all="raise", under="ignore"):
        loss, grads = reader.loss_and_grads(questions, np.array([0, 1, 2, 0, 1]))
    assert np.isfinite(loss) and all(np.isfinite(value).all() for value in grads.values())
    alpha, probabilities = reader.attention(questions)
    live = questions.passage_mask.any(axis=0)
    np.testing.assert_allclose(alpha.sum(axis=0), 1)
    assert (alpha[:, live][~questions.passage_mask[:, live]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@EVERY_VARIANT
def test_a_fresh_reader_answers_by_chance(variant):
    """ln E at first: attention is uniform, and so are the answers."""
    rng = np.random.default_rng(11)
    reader = minibn.AttentiveReader(variant, 50, 12, 32, 32, 32, rng=rng, dtype="float32", engine="kernels")
    passage, question = (rng.integers(3, 50, (steps, 512)) for steps in (40, 10))
    questions = minibn.Questions(passage, np.ones(passage.shape, bool), question, np.ones(question.shape, bool))
    # As the specification has it. The logits' spread, about a tenth, adds half its square, .005; 512 answers by chance
    # are off by a tenth of a twentieth.
    assert abs(reader.loss(questions, rng.integers(0, 12, 512)) - math.log(12)) < 0.02


# Dropout


def test_dropout_masks_are_inverted_and_drawn_of_the_right_shapes():
    rng = np.random.default_rng(12)
    reader, questions = make_reader("bn_e2", rng, dropout=0.25), make_questions(rng)
    data = reader.draw_data(rng, questions)
    assert {name: keep.shape for name, keep in data.items()} == {
        "passage": (*questions.passage.shape, checks.D), "question": (*questions.question.shape, checks.D),
        "answer": (5, 3)}
    assert set(np.unique(data["passage"])) == {0, 4 / 3}
    assert abs(np.mean(data["passage"]) - 1) < 4 * math.sqrt(1 / 3 / data["passage"].size)     # 4 standard errors
    ones = {name: np.ones_like(keep) for name, keep in data.items()}
    np.testing.assert_array_equal(reader.logits(questions, data=ones), reader.logits(questions))
    assert make_reader("lstm", rng).draw_data(rng, questions) == {}
    np.testing.assert_array_equal(reader.logits(questions, data={}), reader.logits(questions))


# Population statistics


def test_population_statistics_are_estimated_in_two_stages():
    """The question's first word is the same for all: W_h h_0 and then c have no variance within a batch, and c differs
    between batches by what BN(W_x x) makes of them. In one pass the difference is multiplied by 1/sqrt(eps)."""
    rng = np.random.default_rng(13)
    reader = make_reader("bn_e2", rng, rows="all")

    def batches():
        for seed in range(20):
            own = np.random.default_rng(seed)
            questions = make_questions(own, (6, 6, 5, 4, 4), (3, 4, 4, 4, 3), dead=0)
            questions.question[0] = 2
            yield questions, own.integers(0, E, 5)

    assert reader.population_stages[0] == ("document.forward.x", "document.backward.x", "question.forward.x",
                                           "question.backward.x")
    two = estimate_population_statistics(reader, list(batches()))
    one = estimate_population_statistics(reader, list(batches()), stages=[reader.terms])
    again = estimate_population_statistics(reader, batches)                   # a function that gives them
    for term in reader.terms:
        np.testing.assert_array_equal(two[term].mean, again[term].mean)
        same = term in reader.population_stages[0]
        assert np.array_equal(one[term].mean, two[term].mean) == same
    [questions, _] = next(batches())
    # c of the first word: the same for every example, so with the population's x its normalized value is 0.
    given = {term: two[term] for term in reader.population_stages[0]}
    first = reader.batch_statistics(questions, statistics=given)["question.forward.c"]
    np.testing.assert_allclose(first.mean[0], two["question.forward.c"].mean[0], rtol=1e-10)
    assert np.abs(first.mean[0] - one["question.forward.c"].mean[0]).max() / math.sqrt(checks.EPS) > 1
    with pytest.raises(TypeError, match="batches: expected something to go through 2 times, .* got an iterator"):
        estimate_population_statistics(reader, batches())


@pytest.mark.parametrize("variant", NORMALIZED)
def test_given_statistics_of_one_batch_give_its_logits(variant):
    """All lengths the same, so that every step's statistics are those of the batch."""
    rng = np.random.default_rng(14)
    reader, questions = make_reader(variant, rng), make_questions(rng, (5,) * 5, (3,) * 5, dead=0)
    statistics = estimate_population_statistics(reader, [(questions, None)])
    np.testing.assert_allclose(reader.logits(questions, statistics), reader.logits(questions), rtol=1e-10, atol=1e-12)


# What it refuses


@pytest.mark.parametrize(("change", "kind", "message"), [
    ({"passage": 3}, TypeError, "passage: expected"),
    ({"passage": np.full((3, 2), V)}, ValueError, f"passage: expected .*{V - 1}"),
    ({"question": np.zeros((2, 3), int)}, ValueError, r"question: expected shape .*N=2"),
    ({"question_mask": np.ones((3, 2))}, ValueError, "question_mask: expected"),
])
def test_refused_questions(change, kind, message):
    reader = make_reader("bn_e1", np.random.default_rng(15))
    good = minibn.Questions(np.ones((3, 2), int), np.ones((3, 2), bool), np.ones((2, 2), int), np.ones((2, 2), bool))
    assert reader.logits(good).shape == (2, E)
    with pytest.raises(kind, match=message):
        reader.logits(good._replace(**change))
    with pytest.raises(TypeError, match="questions: expected minibn.Questions, got tuple"):
        reader.logits(tuple(good))


def test_an_answer_outside_the_labels_is_refused():
    rng = np.random.default_rng(16)
    reader, questions = make_reader("lstm", rng), make_questions(rng)
    for y in (np.array([0, 1, 2, 3, 0]), np.array([0, 1, -1, 1, 0])):
        with pytest.raises(ValueError, match=r"y: expected integers 0 .. 2, got"):
            reader.loss(questions, y)


@pytest.mark.parametrize(("options", "message"), [
    ({"variant": "gru"}, "variant: expected one of 'lstm', .*, 'bilstm', got 'gru'"),
    ({"rows": "some"}, "rows: expected one of 'live', 'all', got 'some'"),
    ({"padding": "none"}, "padding: expected one of 'zero', 'cyclic'"),
    ({"dropout": 1.0}, "dropout: expected a number in .0, 1."),
    ({"entities": 0}, "entities: expected"),
])
def test_refused_options(options, message):
    given = {"variant": "lstm", "vocabulary": 9, "entities": 3, "embedding_size": 2, "hidden_size": 2,
             "attention_size": 2}
    with pytest.raises((ValueError, TypeError), match=message):
        minibn.AttentiveReader(**{**given, **options})


def test_statistics_of_another_reader_are_refused():
    rng = np.random.default_rng(17)
    reader, questions = make_reader("bn_e1", rng), make_questions(rng)
    other = reader_statistics(make_reader("bn_e2", rng), rng)
    with pytest.raises(ValueError, match="statistics: expected"):
        reader.logits(questions, other)
    with pytest.raises(ValueError, match="data"):
        reader.logits(questions, data={"passage": 1})
