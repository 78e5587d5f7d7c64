"""The decision after a cycle."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.config.decision import DecisionSettings, Epsilon
from llamaduo.decision.decide import Cycle, decide, decide_shortfall

METRICS = ("similarity", "precision")
ABSOLUTE = {"mean": 80, "coverage": 60}


def table(
    values: dict[str, tuple[float, float]], metrics: Sequence[str] = METRICS, zeta: float = 70, width: float = 5
) -> list[dict]:
    """Metrics rows from each judge's V and C, the same for all metrics."""
    return [
        {
            "judge": judge,
            "metric": metric,
            "statistic": statistic,
            "zeta": at,
            "value": float(value),
            "lower": float(value - width),
            "upper": float(value + width),
            "prompts": 16,
            "responses": 64,
            "ungraded": 0,
        }
        for judge, (mean, coverage) in values.items()
        for metric in metrics
        for statistic, at, value in (("mean", None, mean), ("coverage", zeta, coverage), ("coverage", 50.0, 99))
    ]


def decided(
    own: list[dict[str, Any]], service: list[dict[str, Any]] | None = None, last: bool = False, **values: Any
) -> dict:
    settings = DecisionSettings(**({"epsilon": ABSOLUTE} | values))
    return decide(Cycle("coding", "gpt-4o", "gemma", 1000, 1, last), own, service, settings)


class TestVerdict:
    def test_converged_when_v_and_c_of_every_metric_reach_their_epsilon(self) -> None:
        decision = decided(table({"a": (80, 60)}))
        assert decision["verdict"] == "converged"
        assert decision["reason"] is None
        assert [(one["metric"], one["statistic"], one["zeta"]) for one in decision["criteria"]] == [
            ("similarity", "mean", None),
            ("similarity", "coverage", 70),
            ("precision", "mean", None),
            ("precision", "coverage", 70),
        ]

    @pytest.mark.parametrize("values", [(79.9, 100), (100, 59.9)])
    def test_otherwise_the_run_goes_on_with_more_data(self, values: tuple[float, float]) -> None:
        decision = decided(table({"a": values}))
        assert decision["verdict"] == "expand"
        assert [one["passed"] for one in decision["criteria"]].count(False) == 2

    def test_after_the_last_volume_it_is_exhausted_and_says_what_was_missed(self) -> None:
        decision = decided(table({"a": (79, 100)}), last=True)
        assert (decision["verdict"], decision["reason"]) == ("exhausted", "volumes")
        assert "V of similarity (mean): 79.0, needed 80.0" in decision["advice"]
        assert "tasks.coding.volumes" in decision["advice"]

    def test_at_the_last_volume_it_may_converge(self) -> None:
        assert decided(table({"a": (80, 60)}), last=True)["verdict"] == "converged"

    def test_it_names_its_run_and_cycle(self) -> None:
        decision = decided(table({"a": (80, 60)}))
        names = {key: decision[key] for key in ("task", "generator", "model", "volume", "cycle")}
        assert names == {"task": "coding", "generator": "gpt-4o", "model": "gemma", "volume": 1000, "cycle": 1}

    @given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
    def test_better_values_never_undo_convergence(self, mean: float, coverage: float, gain: float) -> None:
        if decided(table({"a": (mean, coverage)}))["verdict"] == "converged":
            better = table({"a": (min(100, mean + gain), min(100, coverage + gain))})
            assert decided(better)["verdict"] == "converged"


class TestShareOfService:
    share = Epsilon(mean={"share_of_service": 90}, coverage=None)

    def test_the_threshold_is_a_share_of_the_services_own_value_by_the_same_judge(self) -> None:
        decision = decided(table({"a": (81, 0)}), table({"a": (90, 0)}), epsilon=self.share)
        criterion = decision["criteria"][0]
        assert criterion["threshold"] == pytest.approx(81)
        assert criterion["service"] == 90
        assert criterion["epsilon"] == {"share_of_service": 90}
        assert decision["verdict"] == "converged"

    @given(st.floats(0, 100, exclude_min=True))
    def test_the_service_itself_always_reaches_all_of_its_own_value(self, value: float) -> None:
        own = table({"a": (value, value)})
        whole = {"share_of_service": 100}
        assert decided(own, own, epsilon={"mean": whole, "coverage": whole})["verdict"] == "converged"

    def test_without_the_services_metrics_it_is_an_error(self) -> None:
        with pytest.raises(InputError, match="--service-metrics"):
            decided(table({"a": (81, 0)}), epsilon=self.share)

    def test_a_judge_that_did_not_grade_the_service_is_named(self) -> None:
        with pytest.raises(InputError, match="the service's metrics have no mean of similarity by the judge b"):
            decided(table({"b": (81, 0)}), table({"a": (81, 0)}), epsilon=self.share)

    def test_a_share_of_nothing_is_not_passed_and_says_why(self) -> None:
        service = table({"a": (80, 0)})
        decision = decided(table({"a": (81, 90)}), service, epsilon={"mean": 60, "coverage": {"share_of_service": 90}})
        v, c = decision["criteria"][:2]
        assert (v["passed"], v["note"]) == (True, None)
        assert (c["passed"], c["threshold"], c["service"]) == (False, 0, 0)
        assert "the service itself scores 0" in c["note"]
        assert decision["verdict"] == "expand"
        assert "C at zeta 70 of similarity (mean): the service itself scores 0" in decision["advice"]

    def test_a_share_of_nothing_is_told_in_the_last_advice(self) -> None:
        nothing = table({"a": (0, 0), "b": (0, 0)})
        for judges in ("mean", "all", "any"):
            decision = decided(nothing, nothing, last=True, epsilon=self.share, judges=judges)
            assert decision["verdict"] == "exhausted"
            assert "set an absolute decision.epsilon" in decision["advice"]

    def test_an_absolute_epsilon_of_0_is_reached_by_0(self) -> None:
        assert decided(table({"a": (0, 0)}), epsilon={"mean": 0, "coverage": None})["verdict"] == "converged"


class TestJudges:
    split = table({"strict": (70, 50), "kind": (90, 70)})

    @pytest.mark.parametrize(("judges", "verdict"), [("mean", "converged"), ("all", "expand"), ("any", "converged")])
    def test_what_counts_over_the_judges(self, judges: str, verdict: str) -> None:
        assert decided(self.split, judges=judges)["verdict"] == verdict

    def test_the_mean_is_one_criterion_with_the_mean_of_values_and_bounds(self) -> None:
        criterion = decided(self.split, judges="mean")["criteria"][0]
        assert criterion["judge"] == "mean"
        assert (criterion["value"], criterion["lower"], criterion["upper"]) == (80, 75, 85)

    def test_the_mean_of_shares_is_compared_with_the_mean_of_thresholds(self) -> None:
        service = table({"strict": (80, 0), "kind": (100, 0)})
        share = {"mean": {"share_of_service": 90}, "coverage": None}
        criterion = decided(self.split, service, epsilon=share)["criteria"][0]
        assert criterion["threshold"] == pytest.approx(81)
        assert criterion["service"] == pytest.approx(90)
        assert not criterion["passed"]

    def test_each_judge_is_a_criterion_otherwise(self) -> None:
        assert {one["judge"] for one in decided(self.split, judges="all")["criteria"]} == {"strict", "kind"}

    def test_any_means_one_judge_that_passes_everything(self) -> None:
        crossed = table({"a": (100, 0), "b": (0, 100)})
        assert decided(crossed, judges="any")["verdict"] == "expand"

    def test_with_one_judge_all_three_agree(self) -> None:
        for values in ((80, 60), (79, 60)):
            verdicts = {decided(table({"a": values}), judges=judges)["verdict"] for judges in ("mean", "all", "any")}
            assert len(verdicts) == 1


class TestSettings:
    def test_the_lower_bound_is_stricter_than_the_value(self) -> None:
        own = table({"a": (84, 100)})
        assert decided(own)["verdict"] == "converged"
        assert decided(own, estimate="lower")["verdict"] == "expand"
        assert decided(own, estimate="lower")["criteria"][0]["estimate"] == "lower"

    @pytest.mark.parametrize(
        ("epsilon", "statistics"),
        [({"mean": 80, "coverage": None}, {"mean"}), ({"mean": None, "coverage": 60}, {"coverage"})],
    )
    def test_v_or_c_can_be_left_out(self, epsilon: dict[str, Any], statistics: set[str]) -> None:
        assert {one["statistic"] for one in decided(table({"a": (80, 60)}), epsilon=epsilon)["criteria"]} == statistics

    def test_a_metric_can_have_its_own_epsilon_or_none(self) -> None:
        out = {"precision": {"mean": None, "coverage": None}}
        assert {one["metric"] for one in decided(table({"a": (80, 60)}), per_metric=out)["criteria"]} == {"similarity"}
        higher = {"precision": {"mean": 81, "coverage": 60}}
        decision = decided(table({"a": (80, 60)}), per_metric=higher)
        assert [one["metric"] for one in decision["criteria"] if not one["passed"]] == ["precision"]

    def test_a_metric_that_is_not_graded_is_named(self) -> None:
        with pytest.raises(InputError, match="'tone' is not graded; the metrics are similarity, precision"):
            decided(table({"a": (80, 60)}), per_metric={"tone": {"mean": 80}})

    def test_a_zeta_that_was_not_measured_is_named(self) -> None:
        with pytest.raises(InputError, match=r"decision.zeta: 60 is not in the run's metrics, which have zeta 50, 70"):
            decided(table({"a": (80, 60)}), zeta=60)

    def test_a_metric_added_to_the_judging_counts_at_once(self) -> None:
        decision = decided(table({"a": (80, 60)}, metrics=(*METRICS, "tone")))
        assert {one["metric"] for one in decision["criteria"]} == {*METRICS, "tone"}

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"epsilon": {"mean": 200}}, "epsilon.mean.*less than or equal to 100"),
            ({"epsilon": {"mean": {"share_of_service": 0.9}}}, "share_of_service.*percent are meant: 90, not 0.9"),
            ({"epsilon": {"mean": None, "coverage": None}}, "at least one criterion must remain"),
            ({"epsilon": {"mean": "high"}}, "valid number"),
            ({"zeta": -1}, "greater than or equal to 0"),
            ({"judges": "some"}, "'mean', 'all' or 'any'"),
        ],
    )
    def test_wrong_settings_are_told(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=f"(?s){message}"):
            DecisionSettings(**values)

    def test_the_preset_parts_the_models_of_the_paper(self) -> None:
        """Precision mean at 128k, judge Claude 3 Sonnet: the service's own first, then four local LLMs."""
        paper = {
            "summarization": (93.25, [74.89, 86.19, 86.20, 87.02]),
            "classification": (87.50, [69.98, 78.78, 76.01, 89.20]),
            "coding": (94.57, [80.92, 90.47, 81.25, 83.97]),
            "closed_qa": (97.21, [80.22, 88.83, 88.25, 86.03]),
        }

        def converged(epsilon: object) -> list[int]:
            settings = DecisionSettings(epsilon={"mean": epsilon, "coverage": None})
            cycle = Cycle("t", "gpt-4o", "m", 128_000, 7, True)
            return [
                sum(
                    decide(cycle, table({"a": (one, 0)}), table({"a": (own, 0)}), settings)["verdict"] == "converged"
                    for one in models
                )
                for own, models in paper.values()
            ]

        assert sum(converged(90)) == 1
        assert sum(converged({"share_of_service": 95})) == 2
        assert converged(DecisionSettings().epsilon.mean) == [3, 2, 1, 2]


POOL = {
    "volume": 4000,
    "chunks": 9,
    "accepted": 900,
    "generated": 9000,
    "reached": False,
    "yield": 0.1,
    "advice": "Raise synthesis.seeds_per_call.",
}


class TestShortfall:
    def test_a_pool_that_ran_out_ends_the_run_with_the_yield_as_the_reason(self) -> None:
        decision = decide_shortfall(Cycle("coding", "gpt-4o", "gemma", 4000, 3, False), POOL, DecisionSettings())
        assert (decision["verdict"], decision["reason"]) == ("exhausted", "yield")
        assert decision["advice"] == "Raise synthesis.seeds_per_call."
        assert decision["criteria"] == []
        assert decision["pool"]["accepted"] == 900


def test_a_model_tuned_elsewhere_is_decided_on_in_the_same_way() -> None:
    cycle = Cycle("coding", "elsewhere", "vendor-7b", None, 0, True)
    settings = DecisionSettings(epsilon=ABSOLUTE)
    assert decide(cycle, table({"a": (80, 60)}), None, settings)["verdict"] == "converged"
    assert decide(cycle, table({"a": (70, 60)}), None, settings)["verdict"] == "exhausted"
