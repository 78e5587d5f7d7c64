"""The report's page is self-contained, escaped and labelled, and equal results give equal bytes."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from report_results import ResultsFolder, config, grid

from llamaduo.report.page import render
from llamaduo.report.plan import read_plan
from llamaduo.report.reading import Reader
from llamaduo.report.results import read_results
from llamaduo.report.score_plot import VolumeAxis, short
from llamaduo.report.summary import terminal_table

PROGRAM = Path(__file__).parents[2] / "scripts" / "report.py"
SECTIONS = ["verdicts", "missing", "scores", "decisions", "curation", "calls", "deployed", "examples"]


class Page(HTMLParser):
    """What a page holds: tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " " if tag in ("td", "tr", "dd", "li") else ""
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ResultsFolder:
    return grid(tmp_path_factory.mktemp("grid"), tasks=("closed_qa",))


@pytest.fixture(scope="module")
def html(folder: ResultsFolder) -> str:
    return render(folder.results, read_plan(folder.config), folder.state)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def small(root: Path, simulated: bool = False) -> ResultsFolder:
    return ResultsFolder(
        root,
        config(
            tasks=("coding",), generators=("gpt-4o",), models=("llama-8b",), judges=("gemini",), simulated=simulated
        ),
    )


def table_of(folder: ResultsFolder) -> str:
    return terminal_table(read_results(Reader(folder.results), read_plan(folder.config)))


def test_the_page_is_whole_and_has_every_section(page: Page) -> None:
    assert page.open == []
    assert [attributes["id"] for tag, attributes in page.tags if tag == "section"] == SECTIONS


def test_the_page_loads_nothing_and_runs_nothing(html: str, page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    references = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "xlink:href")
    ]
    assert all(value and value.startswith("#") for value in references)
    assert "http" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}


def test_texts_of_models_and_data_are_shown_and_not_interpreted(html: str, page: Page) -> None:
    assert "<script" not in html
    assert "<script>alert('x')</script> & $\\frac{1}{2}$" in page.text


def test_ids_are_unique_and_every_reference_has_its_target(html: str, page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:href="|url\()#([^")]+)', html))
    assert targets <= set(ids)


def test_there_is_a_described_plot_for_each_task_metric_and_judge(page: Page) -> None:
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    tasks, metrics, judges_and_their_mean, funnel = 1, 2, 3, 1
    assert len(plots) == tasks * metrics * judges_and_their_mean + funnel
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    first = plots[0]["aria-label"] or ""
    assert first.startswith("Line plots of similarity against volume, task closed_qa, graded by the mean over")
    assert "llama-8b on data by gpt-4o: V 70.5 at volume 0, 79.5 at 500." in first


def test_plots_name_their_axes_the_baselines_and_the_threshold(html: str) -> None:
    plot = html[html.index("<svg") : html.index("</svg>")]
    for text in (
        "volume (synthetic samples)",
        "V (0 to 100), C (%)",
        "untuned",
        "service itself (gpt-4o)",
        "threshold",
    ):
        assert text in plot


def test_whatever_is_simulated_is_labelled_in_banner_plots_and_tables(html: str, page: Page) -> None:
    assert "Simulated services: gpt-4o, claude, gemini." in page.text
    plots = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert all("SIMULATED: " in plot for plot in plots)
    sections = re.findall(r'<section id="(\w+)">(.*?)</section>', html, flags=re.DOTALL)
    labelled = [name for name, text in sections if 'class="simulated"' in text]
    assert labelled == [name for name in SECTIONS if name != "missing"]


def test_nothing_is_labelled_simulated_when_nothing_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    real = small(tmp_path_factory.mktemp("real"))
    real.run("coding", "gpt-4o", "llama-8b")
    assert "imulated" not in re.sub(
        r"<style>.*?</style>", "", render(real.results, read_plan(real.config), None), flags=re.S
    )


def test_verdicts_decisions_and_what_is_missing_are_told(page: Page) -> None:
    text = " ".join(page.text.split())
    for told in (
        "converged 3",
        "exhausted 2",
        "unfinished 1",
        "closed_qa / claude / mistral-7b volume 500: no responses (inference)",
        "closed_qa / claude / gemma-2b: raise synthesis.minimum_yield",
        "volumes 0 → 250 → 500",
        "79.5 [76.5, 82.5] ✓ ≥ 78.8service 87.5, untuned 35.5",
        "1,100 of 1,800",
        "deploy/closed_qa/gpt-4o/llama-8b/model logits agree: yes, largest difference: 0.0078, allowed: 0.05",
    ):
        assert told in text


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder = small(tmp_path / name)
        folder.baselines()
        folder.run("coding", "gpt-4o", "llama-8b")
        folder.pool("coding", "gpt-4o")
        folder.journal("synthesis/coding/gpt-4o/chunk-0", "gpt-4o", 3)
        page = render(folder.results, read_plan(folder.config), folder.state)
        pages.append(page.replace(str(folder.root), "ROOT"))
    assert pages[0] == pages[1]


def test_an_empty_results_folder_is_a_page_that_says_so(tmp_path: Path) -> None:
    folder = small(tmp_path)
    page = Page(render(folder.results, read_plan(folder.config), folder.state))
    assert page.open == []
    for told in (
        "There are no scores yet",
        "No cycle has been decided yet",
        "no pool of synthetic samples",
        "No journal",
    ):
        assert told in page.text
    assert "not started" in page.text


def test_one_judge_is_no_mean_over_judges_and_keeps_its_threshold(tmp_path: Path) -> None:
    folder = small(tmp_path)
    folder.baselines()
    folder.run("coding", "gpt-4o", "llama-8b")
    html = render(folder.results, read_plan(folder.config), None)
    assert "over the judges" not in html
    assert html.count("threshold ε</text>") == html.count("<svg")


def test_the_terminal_table_has_verdict_scores_threshold_and_service(folder: ResultsFolder) -> None:
    table = table_of(folder)
    line = next(line for line in table.splitlines() if re.match(r"closed_qa\s+gpt-4o\*\s+llama-8b", line))
    assert re.split(r"\s{2,}", line) == [
        "closed_qa",
        "gpt-4o*",
        "llama-8b",
        "converged",
        "500",
        "3",
        "similarity",
        "79.5 [76.5, 82.5] >= 78.8 (87.5)",
        "78.0 [72.0, 84.0] >= 77.4 (86.0)",
    ]
    assert "SIMULATED services: gpt-4o, claude, gemini" in table


def test_judges_that_decide_one_by_one_have_a_line_each(tmp_path: Path) -> None:
    values = config(tasks=("coding",), generators=("gpt-4o",), models=("llama-8b",), decision={"judges": "all"})
    folder = ResultsFolder(tmp_path, values)
    folder.baselines()
    folder.run("coding", "gpt-4o", "llama-8b")
    table = table_of(folder)
    assert "similarity (gpt-4o)" in table
    assert "precision (gemini)" in table


def test_the_volume_axis_doubles_per_step_and_holds_0_and_untuned() -> None:
    axis = VolumeAxis([0, 1000, 2000, 4000])
    places = [axis.untuned, *(axis.place(volume) for volume in (0, 1000, 2000, 4000))]
    assert [later - earlier for earlier, later in pairwise(places)] == pytest.approx([1.5, 1, 1, 1])
    assert VolumeAxis([0]).untuned < VolumeAxis([0]).place(0)
    assert [short(volume) for volume in (0, 250, 1000, 1500, 256000)] == ["0", "250", "1k", "1.5k", "256k"]


def test_the_program_writes_the_page_and_prints_the_table(tmp_path: Path) -> None:
    folder = small(tmp_path, simulated=True)
    folder.run("coding", "gpt-4o", "llama-8b")
    output = tmp_path / "report" / "index.html"
    places: list[str | Path] = ["--results", folder.results, "--config", folder.config]
    places += ["--state", folder.state, "--output", output]
    before = subprocess.run([sys.executable, PROGRAM, *places, "--table"], check=True, capture_output=True, text=True)
    assert f"report: {output} (not written yet)" in before.stdout
    subprocess.run([sys.executable, PROGRAM, *places], check=True)
    assert output.read_text().rstrip().endswith("</html>")
    after = subprocess.run([sys.executable, PROGRAM, *places, "--table"], check=True, capture_output=True, text=True)
    assert after.stdout.endswith(f"report: {output}\n")
    assert "converged" in after.stdout
    output.rename(output.with_name("sweep.html"))
    swept = subprocess.run([sys.executable, PROGRAM, *places, "--table"], check=True, capture_output=True, text=True)
    assert swept.stdout.endswith(f"report: {output.with_name('sweep.html')}\n")


def test_a_missing_results_folder_is_one_clear_message(tmp_path: Path) -> None:
    folder = small(tmp_path)
    places: list[str | Path] = ["--results", tmp_path / "nowhere", "--config", folder.config]
    places += ["--output", tmp_path / "index.html"]
    done = subprocess.run([sys.executable, PROGRAM, *places], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'nowhere'}: no such folder (the results)\n"
