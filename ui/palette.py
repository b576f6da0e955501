"""One colour for each emotion, everywhere: on the page, in charts and in downloaded pictures.

Source: Okabe and Ito's palette, which people with any colour vision tell apart
(https://jfly.uni-koeln.de/color/). Colour is never the only sign: every mark has its name too.
"""

EMOTION_COLOURS = {
    "anger": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "joy": "#E69F00",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
}
NEUTRAL_COLOUR = "#8A8A8A"
"""For what speaks for no emotion. Seen on white and on black."""
