"""The public contract of the served ensemble: names, shapes and constants.

The one place for every fact that the client and the server share. It imports nothing, so
that each of the server's processes can afford it.

Sources: the pipeline of VEMOCLAP (Sulun, Viana, Davies; arXiv 2410.21303).
"""

ENTRY = "vemoclap"
"""Name of the model that clients call: it admits a request, or refuses it as BUSY, and has ENSEMBLE
turn its frames and sound into emotions."""

ENSEMBLE = "vemoclap_ensemble"
"""Name of the Triton ensemble, which is not for clients: it takes all that it is sent."""

JPEG_ENTRY = "vemoclap_jpeg"
"""ENTRY for frames as JPEG files: JPEG_FRAMES in place of FRAMES."""

JPEG_ENSEMBLE = "vemoclap_jpeg_ensemble"

STREAM = "vemoclap_stream"
"""Name of the model that runs the ensemble's steps and responds after each with its evidence."""

FRAME_MODEL = "vemoclap_frames"
"""Name of the entry that encodes 16 frames of a timeline without fusing them."""

FRAME_ENSEMBLE = "vemoclap_frames_ensemble"

BUSY = "busy: retry after"
"""In the message of a refused request, whose status is UNAVAILABLE; seconds follow it."""

TOO_MUCH_TO_DO = (BUSY, "request timeout expired", "exceeds maximum queue size")
"""In lower case, words of the errors after which a request can be sent again: those of an entry and
of a slot's queue."""

DEFAULT_TIMEOUT_S = 600.0
"""So long a client waits for an answer, if its user asks for nothing else, and so long a request
stays in the queue of an ensemble's step."""

WINDOW_MODEL = "vemoclap_window"
"""Name of the model that fuses the rows and words of a timeline's window."""

AUDIO_ENCODER = "audio_encoder"
SPEECH_RECOGNIZER = "speech_recognizer"
"""The slots that a timeline's sound is sent to, piece by piece."""

EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""Ekman's six emotions, in the order of PROBABILITIES."""

VALENCE = {
    "anger": (-0.51, 0.20),
    "disgust": (-0.60, 0.20),
    "fear": (-0.64, 0.20),
    "joy": (0.76, 0.22),
    "sadness": (-0.63, 0.23),
    "surprise": (0.40, 0.30),
}
"""Emotion -> how pleasant it is, -1 to 1: mean and standard deviation over people.

Source: the table of VEMOCLAP's authors; AROUSAL likewise.
"""

AROUSAL = {
    "anger": (0.59, 0.29),
    "disgust": (0.35, 0.41),
    "fear": (0.60, 0.32),
    "joy": (0.48, 0.26),
    "sadness": (-0.27, 0.34),
    "surprise": (0.67, 0.27),
}
"""Emotion -> how excited it is, -1 to 1: mean and standard deviation over people."""

MODALITIES = ("image", "audio", "face", "speech", "text")
"""In the order of LENGTHS and of the rows of CONTRIBUTIONS."""

SEQUENCES = ("image", "audio", "face")
"""Modalities whose features are a sequence over time, in the order of the rows of ATTENTION."""

EXPRESSIONS = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
"""Facial expressions, in the order of the face_expression slot's PROBABILITIES."""

SENTIMENTS = ("negative", "neutral", "positive")
"""In the order of the text_encoder slot's SENTIMENT."""

ENGLISH = "en"
"""The language that texts are encoded in (ISO 639)."""

FRAME_COUNT = 16
"""Frames taken from a clip, and rows of a padded sequence of features."""

FRAME_SHORTER_SIDE_PX = 360
"""The frames' shorter side after scaling."""

FRAME_LONGER_SIDE_MAX_PX = 1280
"""Cap on the longer side, so that a 64 x 2000 clip cannot ask for 180 MB of frames."""

FRAME_SHORTER_SIDE_MIN_PX = 16
"""No side is scaled below this, however long and thin the clip."""

SAMPLE_RATE_HZ = 16_000
"""Rate of the mono sound."""

AUDIO_MAX_S = 600
"""Longest sound sent in one request: 10 minutes are 38 MB of float32."""

FRAMES = "FRAMES"
JPEG_FRAMES = "JPEG_FRAMES"
"""The 16 frames as JPEG files of one size."""
AUDIO = "AUDIO"
PROBABILITIES = "PROBABILITIES"
CONTRIBUTIONS = "CONTRIBUTIONS"
ANALYSIS = "ANALYSIS"
LENGTHS = "LENGTHS"
ATTENTION = "ATTENTION"
"""float32 [3, 16]: the share of the head's attention that each row of SEQUENCES got; a modality's
rows add up to 1, padding included. All zeros from a head that does not attend."""
HEAD = "HEAD"
"""JSON: which head computed the probabilities, and of which profile."""
STEP = "STEP"
"""Which of the ensemble's steps an answer of STREAM is about; in the last answer ENTRY."""
EVIDENCE = "EVIDENCE"
"""The step's evidence: a JSON object, empty from a step that has none."""
CAPTION = "CAPTION"
"""JSON: {frame, text}, or null."""
CAPTION_PARAMETER = "caption"
"""Parameter of a request to STREAM: true asks for CAPTION."""
FEATURES = {modality: f"{modality.upper()}_FEATURES" for modality in MODALITIES}
"""Modality -> name of the tensor that carries its features."""

WINDOW = "WINDOW"
"""float32 [48000]: an audio window, the input of AUDIO_ENCODER."""
EVENTS = "EVENTS"
"""float32 [events]: the probability of each audio event."""
FACE_EVIDENCE = "FACE_EVIDENCE"
TEXT_EVIDENCE = "TEXT_EVIDENCE"
SPEECH_TEXT = "SPEECH_TEXT"
"""What is said in a window, in English; empty for nothing."""
SCREEN_TEXTS = "SCREEN_TEXTS"
"""The lines of text in a window's frames, in order; none for no text."""

NO_FACE = "no face was found"
NO_SPEECH = "no speech was recognised"
NO_TEXT = "no text was found on the screen"
"""Why a modality is absent from frames or sound that could be used."""

ANALYSIS_SCHEMA_VERSION = "1.2"
RESULT_SCHEMA_VERSION = "1.4"
TIMELINE_SCHEMA_VERSION = "1.1"
