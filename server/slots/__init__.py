"""What the Python slots compute: plain modules that import without Triton.

Each slot is a class with the interface of `step.PythonSlot`; its `1/model.py` only names it.
"""
