"""The code of the Python slots, in modules that import without Triton.

Each slot is a class with the interface of `slot.PythonSlot`, which its `1/model.py` names.
"""
