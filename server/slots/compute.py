"""In what CTranslate2 computes, for the steps that bring one of its networks."""

COMPUTE_TYPE = {"cpu": "int8", "cuda": "float16"}
"""Kind of device -> CTranslate2's name of the type. Weights are converted when they are loaded."""
