"""Measures starts, stops and memory side by side; run by root on a throw-away machine."""
