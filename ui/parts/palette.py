"""One colour for each emotion, everywhere: on the page, in charts and in downloaded pictures.

Found by search, with two conditions that tests/unit/test_app_colours.py computes: people with any
colour vision tell every pair apart, and each stands out from white and from the dark theme's
background by 3 to 1 (WCAG 2.2, 1.4.11). Colour is never the only sign: every mark has its name too.
"""

EMOTION_COLOURS = {
    "anger": "#C42A2D",
    "disgust": "#7F9A72",
    "fear": "#B52C8E",
    "joy": "#B48F00",
    "sadness": "#5459E4",
    "surprise": "#039ED1",
}
NEUTRAL_COLOUR = "#8A8A8A"
"""For what speaks for no emotion. Seen on white and on black."""
