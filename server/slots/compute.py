"""The number type of CTranslate2, for the slots with one of its networks."""

COMPUTE_TYPE = {"cpu": "int8", "cuda": "float16"}
"""Kind of device -> CTranslate2's name of the type. Weights are converted when they are loaded."""
