"""V and C of the grades, and their intervals."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.config.decision import MetricsSettings
from llamaduo.decision.metrics import by_judge, interval, measure, score

FEW = MetricsSettings(bootstrap_samples=400)

score_values = st.one_of(st.integers(0, 100).map(float), st.floats(0, 100))
responses = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.lists(st.one_of(st.none(), score_values), min_size=1, max_size=4)),
    min_size=1,
    max_size=12,
).filter(lambda rows: any(grade is not None for _, grades in rows for grade in grades))


def rows(*graded: tuple[str, list[float | None]], judge: str = "gpt-4o", metric: str = "similarity") -> list[dict]:
    return [{"prompt_id": prompt, "evaluators": judge, f"{metric}_grades": grades} for prompt, grades in graded]


def measured(graded: list[dict], **values: Any) -> dict:
    found = measure(graded, ["similarity"], MetricsSettings(bootstrap_samples=400, **values))
    return {(row["statistic"], row["zeta"]): row for row in found}


class TestValues:
    def test_v_is_the_mean_over_responses_of_the_mean_over_their_grades(self) -> None:
        found = measured(rows(("p", [80, 90]), ("p", [70]), ("q", [10, 20, 30])))
        assert found["mean", None]["value"] == pytest.approx((85 + 70 + 20) / 3)

    def test_the_median_over_grades_instead_of_the_mean(self) -> None:
        found = measured(rows(("p", [0, 90, 100]), ("q", [50])), over_grades="median")
        assert found["mean", None]["value"] == 70

    def test_c_is_the_percentage_of_responses_whose_mean_grade_reaches_zeta(self) -> None:
        found = measured(rows(("p", [60, 80]), ("p", [69.9]), ("q", [50]), ("q", [0])))
        assert found["coverage", 70]["value"] == 25
        assert found["coverage", 50]["value"] == 75

    def test_missing_grades_are_left_out_and_are_not_0(self) -> None:
        found = measured(rows(("p", [80, None]), ("p", [None, None]), ("q", [60])))
        row = found["mean", None]
        assert row["value"] == 70
        assert (row["responses"], row["prompts"], row["ungraded"]) == (2, 2, 1)

    def test_a_prompt_without_a_grade_does_not_count(self) -> None:
        row = measured(rows(("p", [80]), ("q", [None])))["mean", None]
        assert (row["responses"], row["prompts"], row["ungraded"]) == (1, 1, 1)

    def test_no_grade_at_all_is_an_error(self) -> None:
        with pytest.raises(InputError, match="gpt-4o gave no grade of similarity to any of 1 responses"):
            measured(rows(("p", [None])))

    def test_each_judge_and_metric_is_measured_by_itself(self) -> None:
        graded = [
            {"prompt_id": "p", "evaluators": judge, "similarity_grades": [similarity], "precision_grades": [precision]}
            for judge, similarity, precision in (("gpt-4o", 10, 20), ("claude", 30, 40))
        ]
        found = measure(graded, ["similarity", "precision"], MetricsSettings(zeta=[50]))
        means = {(row["judge"], row["metric"]): row["value"] for row in found if row["statistic"] == "mean"}
        assert means == {
            ("gpt-4o", "similarity"): 10,
            ("gpt-4o", "precision"): 20,
            ("claude", "similarity"): 30,
            ("claude", "precision"): 40,
        }
        assert len(found) == 2 * 2 * 2

    def test_two_tables_of_one_judge_are_an_error(self) -> None:
        with pytest.raises(InputError, match=r"b: grades by gpt-4o, which a holds too"):
            by_judge({"a": rows(("p", [1])), "b": rows(("p", [1]))})


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(responses)
    def test_all_values_and_bounds_are_in_range_and_the_interval_contains_the_value(self, graded: list[Any]) -> None:
        for row in measure(rows(*graded), ["similarity"], FEW):
            assert 0 <= row["lower"] <= row["value"] + 1e-9
            assert row["value"] - 1e-9 <= row["upper"] <= 100

    @settings(max_examples=40, deadline=None)
    @given(responses, st.lists(st.integers(2, 100), min_size=2, max_size=5, unique=True))
    def test_c_never_rises_with_zeta(self, graded: list[Any], zeta: list[float]) -> None:
        found = measure(rows(*graded), ["similarity"], MetricsSettings(zeta=sorted(zeta), bootstrap_samples=100))
        values = [row["value"] for row in found if row["statistic"] == "coverage"]
        assert values == sorted(values, reverse=True)

    @settings(max_examples=30, deadline=None)
    @given(responses, st.randoms(use_true_random=False))
    def test_the_order_of_the_rows_does_not_matter(self, graded: list[Any], chance: random.Random) -> None:
        shuffled = list(graded)
        chance.shuffle(shuffled)
        assert measure(rows(*shuffled), ["similarity"], FEW) == measure(rows(*graded), ["similarity"], FEW)

    @given(st.lists(score_values, min_size=1))
    def test_a_score_lies_between_its_grades(self, grades: list[float]) -> None:
        for over_grades in ("mean", "median"):
            value = score(grades, MetricsSettings(over_grades=over_grades))
            assert value is not None
            assert min(grades) - 1e-9 <= value <= max(grades) + 1e-9


class TestInterval:
    def test_one_prompt_says_nothing_about_others(self) -> None:
        assert interval([("p", 90.0), ("p", 80.0)], FEW) == (0, 100)

    def test_equal_scores_leave_no_doubt(self) -> None:
        assert interval([("p", 70.0), ("q", 70.0)], FEW) == (70, 70)

    def test_the_same_seed_gives_the_same_interval(self) -> None:
        values = [(str(number), float(number)) for number in range(20)]
        assert interval(values, FEW) == interval(values, FEW)
        assert interval(values, FEW) != interval(values, FEW.model_copy(update={"seed": 1}))

    def test_more_confidence_needs_a_wider_interval(self) -> None:
        values = [(str(number), float(number)) for number in range(20)]
        low, high = interval(values, MetricsSettings(confidence=80))
        lower, higher = interval(values, MetricsSettings(confidence=99))
        assert lower < low < high < higher

    def test_alike_responses_to_one_prompt_do_not_count_as_independent(self) -> None:
        chance = np.random.default_rng(0)
        prompts = chance.uniform(0, 100, size=16)
        clustered = [(str(number), float(value)) for number, value in enumerate(prompts) for _ in range(4)]
        independent = [(str(place), value) for place, (_, value) in enumerate(clustered)]
        wide, narrow = (np.diff(interval(values, MetricsSettings()))[0] for values in (clustered, independent))
        assert wide == pytest.approx(2 * narrow, rel=0.1)

    def test_it_holds_the_truth_about_as_often_as_it_says(self) -> None:
        chance = np.random.default_rng(1)
        hits = 0
        for _ in range(200):
            means = chance.normal(50, 10, size=25)
            values = [(str(number), float(chance.normal(mean, 3))) for number, mean in enumerate(means) for _ in "1234"]
            low, high = interval(values, FEW)
            hits += low <= 50 <= high
        assert 0.88 <= hits / 200 <= 0.99

    def test_it_is_quick_for_many_prompts(self) -> None:
        values = [(str(number), float(number % 101)) for number in range(5_000)]
        low, high = interval(values, MetricsSettings(bootstrap_samples=1_000))
        assert low < 50 < high


class TestSettings:
    @pytest.mark.parametrize(
        "values", [{"zeta": [101]}, {"zeta": [50, 50]}, {"confidence": 100}, {"over_grades": "mode"}, {"unknown": 1}]
    )
    def test_wrong_settings_are_errors(self, values: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            MetricsSettings(**values)
