"""What the numbers mean, what the system is not for, and what is kept."""

import streamlit as st

from ui.jobs.library import Library
from ui.parts.limits import keeping
from ui.parts.navigation import Pages

PAPER = "https://arxiv.org/abs/2410.21303"
AI_ACT = "https://eur-lex.europa.eu/eli/reg/2024/1689/oj"

NUMBERS = """
They say which emotion the *clip* conveys: the probabilities of anger, disgust, fear, joy, sadness
and surprise, which add up to 1. They do not say what a person in it feels: an actor's smile is part
of the film, and expressions are classified wrongly more often for some groups of people than for
others. A clip in which nothing is found comes out even, and says so.
"""

NOT_FOR = f"""
**Do not use this to judge, select, monitor or score people**: not for hiring, not for policing or
border control, not for diagnosis, insurance or credit, not at work and not at school. In the
European Union, [Article 5(1)(f) of the AI Act]({AI_ACT}) forbids inferring emotions at work
and in education, except for medical or safety reasons. This system is made for none of these.
"""

HEAD = """
Networks look for faces, speech, written words and sounds; a small network, the *head*, makes six
numbers of what they found. Every result names its head:

- **zero-shot** has seen no training data. It pools what faces express and what words say, and is
  easily misled by both: people laugh when they are afraid, and irony is lost.
- **attention** was trained on clips that people had labelled; it says which. What it learnt holds
  for clips of that kind.
- **random weights** are for tests of speed. Their numbers mean nothing.
"""

KEPT = """
{keeping} After that they are removed. Frames and sound go to the Triton
server that classifies them, and nowhere else. A link is fetched from the site that it names.
"""

LICENCES = f"""
The system is that of VEMOCLAP (Sulun, Viana, Davies:
[A video emotion classification web application]({PAPER}), 2024), written anew for serving. This
program is under the Apache License 2.0. The networks' weights and the sample clips have licences of
their own: `make weights` lists them.
"""


def show_about(library: Library, pages: Pages) -> None:
    """The notes, each under a heading."""
    st.title("About")
    left, right = st.columns(2, gap="large")
    with left:
        _show_note("What the six numbers mean", NUMBERS)
        _show_note("What this must not be used for", NOT_FOR)
        _show_note("What is kept", KEPT.format(keeping=keeping(library.settings, library.owner)))
    with right:
        _show_note("Who answers", HEAD)
        _show_note("Paper and licences", LICENCES)


def _show_note(title: str, text: str) -> None:
    st.header(title)
    st.markdown(text)
