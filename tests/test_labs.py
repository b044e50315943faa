"""The labs: the table of mistakes, the ladder, what becomes of foreign code, hand-outs, reports."""

import json
import re
import subprocess
import sys
from itertools import combinations

import lab_class
import numpy as np
import pytest

from minibn.cli import main
from minibn.labs import LABS, grade_class, make_lab, use
from minibn.labs.answers import leaves
from minibn.labs.draws import draws_of
from minibn.labs.export import export
from minibn.labs.grade import grade_file
from minibn.labs.ladder import Judge
from minibn.labs.make import module_text, notebook, solution_lines, without_solution
from minibn.labs.mistakes import MISTAKES
from minibn.labs.replay import wrong
from minibn.labs.sandbox import Limits
from minibn.labs.source import Edit, code_of
from minibn.labs.unrecognised import hints
from minibn.labs.variants import VARIANTS, standard_of

ASKS = [(lab, ask) for lab in LABS.values() if lab.judge == "functions" for ask in lab.asks]
BY_NAME = {f"{lab.name} {ask.function}": (lab, ask) for lab, ask in ASKS}
FAST = Limits(seconds=3.0)
SILENT = {"say": lambda line: None}


def judge_of(ask, seed=1):
    return Judge(ask.source, ask.mistakes, draws_of(ask, seed), ask.outputs)


def answers_of(ask, edits, seed=1):
    function = ask.source.function(edits)
    with np.errstate(all="ignore"):
        return [leaves(function(**draw.arguments)) for draw in draws_of(ask, seed)]


# The table


def test_there_are_mistakes_enough():
    for _, ask in ASKS:
        counts = {blank.id: 0 for blank in ask.blanks}
        for row in ask.mistakes:
            counts[ask.blank_of(row).id] += 1
        assert min(counts.values()) >= 8, counts
    assert len(MISTAKES) > 500 and len({row.id for row in MISTAKES}) == len(MISTAKES)


def test_no_explanation_holds_the_corrected_line():
    for row in MISTAKES:
        assert row.line.partition(" = ")[2] not in row.explanation or len(row.line.partition(" = ")[2]) < 9, row.id
        assert row.explanation.endswith(".") and len(re.findall(r"\. |\.$", row.explanation)) >= 2, row.id


@pytest.mark.parametrize("name", BY_NAME)
def test_every_mistake_of_the_table_is_named(name):
    """Executed as the library with that line: every fourth row here, and all of them in the slow test."""
    every_mistake_is_named(BY_NAME[name][1], seed=3, step=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_all_mistakes_of_the_table_are_named(name):
    every_mistake_is_named(BY_NAME[name][1], seed=4, step=1)


def every_mistake_is_named(ask, seed, step):
    judge = judge_of(ask, seed)
    assert judge.judge(judge.right).verdict == "right"
    for row in ask.mistakes[::step]:
        found = judge.judge(answers_of(ask, [row.edit], seed))
        named = {one for group in found.mistakes for one in group}
        assert row in named or found.verdict == "format" and "zero everywhere" in found.messages[0][1], row.id


def test_two_mistakes_are_both_named():
    ask = BY_NAME["lab5 step_backward"][1]
    judge, rows = judge_of(ask), {row.title: row for row in ask.mistakes}
    pair = rows["db is a mean"], rows["BN of the cell skipped"]
    found = judge.judge(answers_of(ask, [row.edit for row in pair]))
    assert found.verdict == "several" and {row for group in found.mistakes for row in group} >= set(pair)


def test_what_is_not_in_the_table_is_not_guessed():
    ask = BY_NAME["lab2 batch_norm_backward"][1]
    answers = answers_of(ask, [])
    for answer in answers:
        answer["0"] = answer["0"] * 1.37 + 0.1
    found = judge_of(ask).judge(answers)
    assert found.verdict == "unrecognised" and not found.mistakes


def test_no_mistake_explains_what_it_does_not_return():
    """dhat is nobody's: a mistake that returns another quantity in its place has said nothing of dhat itself."""
    ask = BY_NAME["lab2 batch_norm_backward"][1]
    answers = answers_of(ask, [])
    for answer in answers:
        answer["4"] = np.cos(answer["4"])
    found = judge_of(ask).judge(answers)
    assert {fault.name for fault in found.faults} >= {"dhat"} or found.verdict == "right"
    assert not found.mistakes


def test_inputs_that_alone_show_what_is_wrong_are_said():
    ask = BY_NAME["lab2 batch_norm_backward"][1]
    judge, answers = judge_of(ask), answers_of(ask, [])
    for draw, answer in zip(judge.draws, answers, strict=True):
        if draw.kind == "masked":
            answer["0"] = np.cos(answer["0"])
    [said] = hints(judge, answers)
    assert said.startswith("da: ") and said.endswith("; only on inputs with a mask")
    for answer in answers:
        answer["0"] = np.cos(answer["0"]) - 3
    assert "only on inputs" not in hints(judge, answers)[0]


@pytest.mark.parametrize("old, new, part", [
    ("x = a + b + c", "x = a + c", "+ b"), ("x = a + b + c", "x = a + b", "+ c"),
    ("x = (m + 2 * v)", "x = (2 * v)", "m +"), ("x = a.sum(0)", "x = a.mean(0)", "sum"), ("x = a", "x = 2 * a", "")])
def test_an_edit_is_as_small_as_can_be(old, new, part):
    edit = Edit.between(old, new)
    assert edit.edited == new and old[edit.begin:edit.end].strip() == part


def test_the_lines_that_are_wrong_are_found():
    """Two edits of two lines: the wrong quantities of one and of the other, and no third; for 95 of 100 pairs."""
    ask = BY_NAME["lab2 batch_norm_backward"][1]
    judge = judge_of(ask)

    def faults(*rows):
        return {fault.name for fault in wrong(judge.distances(answers_of(ask, [row.edit for row in rows])))}

    pairs = [pair for pair in combinations(ask.mistakes, 2) if pair[0].line != pair[1].line]
    exact = [faults(*pair) == faults(pair[0]) | faults(pair[1]) for pair in pairs]
    assert sum(exact) >= 0.95 * len(exact), f"{sum(exact)} of {len(exact)}"


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", BY_NAME)
def test_zeros_and_ones_are_never_right(name, value):
    ask = BY_NAME[name][1]
    answers = [{key: np.full_like(leaf, value) for key, leaf in answer.items()} for answer in answers_of(ask, [])]
    assert judge_of(ask).judge(answers).verdict in ("format", "unrecognised")


@pytest.mark.parametrize("name", BY_NAME)
def test_the_library_in_float32_is_not_accused(name):
    ask = BY_NAME[name][1]
    answers = [{key: leaf.astype(np.float32).astype(float) for key, leaf in answer.items()}
               for answer in answers_of(ask, [])]
    assert judge_of(ask).judge(answers).verdict == "right"


# Hand-outs


@pytest.mark.parametrize("lab", LABS.values(), ids=lambda lab: lab.name)
def test_a_hand_out_is_the_same_each_time_and_holds_no_solution(lab, tmp_path):
    first, second = make_lab(lab, tmp_path / "a"), make_lab(lab, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    make_lab(lab, tmp_path / "a")
    lines = {"".join(code_of(line).split()) for path in first if path.suffix != ".json"
             for line in path.read_text(encoding="utf-8").splitlines()}
    assert not lines & solution_lines(lab)
    first[1].write_text("# mine", encoding="utf-8")
    with pytest.raises(ValueError, match="work is never overwritten"):
        make_lab(lab, tmp_path / "a")


@pytest.mark.parametrize("lab", [lab for lab in LABS.values() if lab.number < 8], ids=lambda lab: lab.name)
def test_solved_has_all_points_and_blank_has_none(lab, tmp_path, capsys):
    make_lab(lab, tmp_path / "solved", solution=True), make_lab(lab, tmp_path / "blank")
    assert main(["lab", "check", str(tmp_path / "solved")]) == 0
    assert f"{lab.points} of {lab.points} points" in capsys.readouterr().out
    assert main(["lab", "check", str(tmp_path / "blank")]) == 1
    assert f"0 of {lab.points} points" in capsys.readouterr().out


@pytest.mark.parametrize("number, name", [(n, name) for n, some in VARIANTS.items() for name in some])
def test_a_variant_is_right_in_its_own_form_and_the_standard_form_is_not(number, name, tmp_path):
    lab, standard = LABS[number], standard_of(LABS[number], name)
    text = lab_class.solved(lab)
    for ask in lab.asks:
        edits = standard.get((ask.module, ask.function), ())
        text = text.replace(ask.source.text.rstrip(), ask.source.edited(edits).rstrip())
    for file, content in (("own.py", text), ("standard.py", lab_class.solved(lab))):
        (tmp_path / file).write_text(content, encoding="utf-8")
    own = grade_file(tmp_path / "own.py", lab, 1, name)[0]
    assert [result.verdict for result in own] == ["right"] * len(own)
    assert sum(result.points for result in grade_file(tmp_path / "standard.py", lab, 1, name)[0]) < lab.points


def test_a_solution_marker_needs_its_partner():
    assert without_solution("a\n### BEGIN SOLUTION\nb\n### END SOLUTION") == "a\nanswer = ..."
    for text in ("### BEGIN SOLUTION\nb", "### END SOLUTION"):
        with pytest.raises(ValueError, match="worksheet"):
            without_solution(text)


@pytest.mark.parametrize("lab", LABS.values(), ids=lambda lab: lab.name)
def test_a_worksheet_is_a_notebook(lab):
    import nbformat

    nbformat.validate(nbformat.reads(notebook(lab), 4))


def test_use_puts_functions_to_work_and_takes_them_away(tmp_path):
    from minibn.cells import rnn

    original = rnn.step_forward
    (tmp_path / "lab1.py").write_text(module_text(LABS[1]), encoding="utf-8")
    with use(tmp_path / "lab1.py"):
        assert rnn.step_forward is not original
    assert rnn.step_forward is original
    with pytest.raises(ValueError, match="expected lab1.py to lab8.py"):
        use(tmp_path / "other.py")


# Foreign code


@pytest.mark.parametrize("kind", [kind for kind in lab_class.HOSTILE if kind != "flood"])
def test_hostile_code_costs_its_own_function_and_no_other(kind, tmp_path):
    lab = LABS[1]
    path = tmp_path / "lab1.py"
    path.write_text(lab_class.with_first_line(lab, lab.asks[1], lab_class.HOSTILE[kind][0]), encoding="utf-8")
    results = grade_file(path, lab, 1, limits=FAST)[0]
    expected = kind if kind in ("timeout", "memory") else "crashed"
    assert [result.verdict for result in results] == ["right", expected, "right"]
    assert results[1].points == 0 and results[1].error


def test_what_is_printed_is_cut(tmp_path):
    lab = LABS[1]
    path = tmp_path / "lab1.py"
    path.write_text(lab_class.with_first_line(lab, lab.asks[1], lab_class.HOSTILE["flood"][0]), encoding="utf-8")
    results, _, log = grade_file(path, lab, 1, limits=FAST)
    assert {result.verdict for result in results} == {"right"} and len(log) == 4000


@pytest.mark.parametrize("text, verdict", [("def dtanh(y:", "format"), ("x = 1\n", "format"), ("1 / 0\n", "crashed")])
def test_a_broken_file(text, verdict, tmp_path):
    (tmp_path / "lab1.py").write_text(text, encoding="utf-8")
    results = grade_file(tmp_path / "lab1.py", LABS[1], 1)[0]
    assert all(result.points == 0 for result in results) and results[0].verdict in (verdict, "format")


def test_taking_the_solution_is_reported(tmp_path):
    path = tmp_path / "lab1.py"
    path.write_text("from minibn.equations.activations import dtanh\nfrom minibn.cells.rnn import step_forward\n"
                    "from minibn.cells.rnn import step_backward\n", encoding="utf-8")
    remarks = grade_file(path, LABS[1], 1)[1]
    assert any("takes dtanh" in remark for remark in remarks)


def test_a_class_is_graded_and_resumed(tmp_path, capsys):
    lab = LABS[2]
    planted = lab_class.write_class(lab, tmp_path / "class", seed=5, size=8)
    report = tmp_path / "report"
    whole = grade_class(lab, tmp_path / "class", report, seed=5, limits=FAST, **SILENT)
    wrong = {name: said for name, what in planted.items()
             if (said := lab_class.agrees(what, whole["submissions"][name])) is not True}
    assert wrong == {}
    assert grade_class(lab, tmp_path / "class", report, seed=5, limits=FAST, **SILENT) == whole
    assert json.loads((report / "results.json").read_text(encoding="utf-8")) == whole
    page = (report / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in planted) and "<script" not in page
    for form in ("gradescope", "csv", "jsonl"):
        assert export(report, form)
    entry = json.loads(next((report / "gradescope").glob("*one*.json")).read_text(encoding="utf-8"))
    assert {"score", "max_score", "name", "output", "visibility"} <= set(entry["tests"][0])


@pytest.mark.slow
@pytest.mark.parametrize("number, seed", [(5, 1), (4, 3)])
def test_a_class_of_thirty(number, seed, tmp_path):
    lab = LABS[number]
    planted = lab_class.write_class(lab, tmp_path / "class", seed, 30)
    whole = grade_class(lab, tmp_path / "class", tmp_path / "report", seed, limits=FAST, **SILENT)
    said = [lab_class.agrees(what, whole["submissions"][name]) for name, what in planted.items()]
    assert said.count(True) >= 28


@pytest.mark.parametrize("arguments, words", [
    (["make", "9"], "expected the number of a lab, 1 to 8"),
    (["check", "."], "expected a folder made by"),
    (["export", ".", "--to", "csv"], "expected a folder made by"),
])
def test_a_users_mistake_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_list_and_the_table_are_printed(capsys):
    assert main(["lab", "list"]) == 0 and main(["lab", "mistakes", "2"]) == 0
    assert "Batch normalization, three paths" in capsys.readouterr().out


def test_a_course_adds_its_own_mistakes(tmp_path, capsys):
    """In another process, as a teacher does: the table of this one stays as it is."""
    row = {"lab": 2, "function": "batch_norm_backward", "line": "dhat = dy * gamma",
           "edited": "dhat = dy * gamma ** 2", "title": "gamma squared", "explanation": "You squared gamma. Look."}
    file = tmp_path / "own.json"
    file.write_text(json.dumps([row]), encoding="utf-8")
    make_lab(LABS[2], tmp_path / "lab2"), (tmp_path / "class").mkdir()
    text = lab_class.solved(LABS[2]).replace("dhat = dy * gamma", "dhat = gamma * dy * gamma")
    (tmp_path / "class" / "anna.py").write_text(text, encoding="utf-8")
    arguments = ["lab", "grade", "lab2", "class", "--add", "own.json"]
    code = f"import sys; from minibn.cli import main; sys.exit(main({arguments}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
    whole = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert whole["submissions"]["anna"]["blanks"][2]["mistakes"] == ["batch_norm_backward/gamma-squared"]
    for change, words in ({"line": "x = 1"}, "expected the line"), ({"lab": 3}, "asks for"), ({"kind": "x"}, "kind"):
        file.write_text(json.dumps([{**row, **change}]), encoding="utf-8")
        assert main(["lab", "mistakes", "2", "--add", str(file)]) == 2
        assert words in capsys.readouterr().err
