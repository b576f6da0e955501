"""Times, shares, modalities and languages in words, the same on every part of the result."""

from html import escape

from vemoclap_client.analysis import Head

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3600

MODALITY_NAMES = {
    "image": "picture",
    "audio": "sound",
    "face": "faces",
    "speech": "speech",
    "text": "on-screen text",
}


def clock(time_s: float) -> str:
    """A moment of a clip, such as 0:04 or 1:02:03."""
    seconds = int(time_s)
    hours, rest = divmod(seconds, SECONDS_PER_HOUR)
    minutes, second = divmod(rest, SECONDS_PER_MINUTE)
    if hours:
        return f"{hours}:{minutes:02d}:{second:02d}"
    return f"{minutes}:{second:02d}"


def percent(share: float) -> str:
    """A share of 1 as a whole percentage; what is not quite nothing or all is not rounded to it."""
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def counted(number: int, unit: str) -> str:
    """A number of things, such as 1 clip or 3 clips."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def signed(value: float) -> str:
    """A number with its sign and two digits; the minus is a real one."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def head_warning(head: Head) -> str | None:
    """What must be known of a head whose numbers are not to be believed; None for a trained one."""
    if head.kind == "random":
        return (
            "These numbers mean nothing: the head has random weights, which are for tests of "
            "speed alone."
        )
    if head.trained_on is None:
        return (
            "This head pools what faces express and what words say, and is easily misled by both."
        )
    return None


def language_name(code: str) -> str:
    """The English name of a language; the code itself where it is none of those recognised."""
    return LANGUAGES.get(code, "language not recognised" if code == "unknown" else code)


def quoted(text: str) -> str:
    """Text of unknown origin for HTML."""
    return escape(text, quote=True)


LANGUAGES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "as": "Assamese",
    "az": "Azerbaijani",
    "ba": "Bashkir",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bo": "Tibetan",
    "br": "Breton",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fo": "Faroese",
    "fr": "French",
    "gl": "Galician",
    "gu": "Gujarati",
    "ha": "Hausa",
    "haw": "Hawaiian",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian Creole",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "jv": "Javanese",
    "jw": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "la": "Latin",
    "lb": "Luxembourgish",
    "ln": "Lingala",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mg": "Malagasy",
    "mi": "Maori",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Norwegian Nynorsk",
    "no": "Norwegian",
    "oc": "Occitan",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sa": "Sanskrit",
    "sd": "Sindhi",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sn": "Shona",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "su": "Sundanese",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "tg": "Tajik",
    "th": "Thai",
    "tk": "Turkmen",
    "tl": "Tagalog",
    "tr": "Turkish",
    "tt": "Tatar",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "yi": "Yiddish",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
}
"""ISO 639 code -> English name, of the languages that Whisper tells apart.

Source: https://www.loc.gov/standards/iso639-2/php/code_list.php
"""
