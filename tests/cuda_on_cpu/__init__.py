"""Runs the project's CUDA sources on the CPU, through g++: see `raw_module`."""
