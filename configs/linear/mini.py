# Linear probing on the class token in minutes. Not comparable with published scores.
_base_ = '../_base_/linear_mini.py'
