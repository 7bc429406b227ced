"""The pure half of Emberwatch: what posts, narratives and alerts are, and the fold that ties them together.

Nothing in this package reads a clock, a file, the environment, the network or an unseeded random source.
"""
