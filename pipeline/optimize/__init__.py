"""Compressed variants of the baseline, each made from the same untouched network by one strategy.

A strategy is a file here with a function that gives a network; `catalogue` names the variants, `product` saves them.
"""
