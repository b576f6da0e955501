"""How far the work on a clip is, stage by stage."""

from collections.abc import Mapping

from ui.jobs.job import Stage, StageState
from ui.parts.words import MODALITY_NAMES, percent, quoted

STAGE_NAMES = {
    "fetch": "Fetching the video",
    "decode": "Decoding",
    "fusion": "Weighing it all",
    "timeline": "Following it over time",
} | {modality: name.capitalize() for modality, name in MODALITY_NAMES.items()}
STATE_WORDS = {
    StageState.WAITING: "waiting",
    StageState.WORKING: "at work",
    StageState.DONE: "done",
    StageState.ABSENT: "nothing there",
}


def progress_html(stages: Mapping[str, Stage]) -> str:
    """The stages as a list: name, a bar and the state in words."""
    items = "".join(_item(name, stage) for name, stage in stages.items())
    return f'<ol class="v-stages" aria-label="Progress">{items}</ol>'


def unfinished(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages that still have to end."""
    return {name: stage for name, stage in stages.items() if not stage.state.is_over}


def _item(name: str, stage: Stage) -> str:
    words = STATE_WORDS[stage.state]
    if stage.state is StageState.WORKING and stage.progress is not None:
        words = percent(stage.progress)
    detail = f'<span class="v-quiet">{quoted(stage.detail)}</span>' if stage.detail else ""
    return (
        f'<li class="v-{stage.state}"><span>{STAGE_NAMES[name]}</span>'
        f"{_bar(name, stage)}<span>{words}</span>{detail}</li>"
    )


def _bar(name: str, stage: Stage) -> str:
    share = 1.0 if stage.state is StageState.DONE else (stage.progress or 0.0)
    return (
        f'<span class="v-track" role="progressbar" aria-label="{STAGE_NAMES[name]}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * share:.0f}">'
        f'<span style="width:{100 * share:.1f}%"></span></span>'
    )
