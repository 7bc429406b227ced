"""The shell around `detectors`: Kafka, files, models, metrics, pages and the command line.

It does no arithmetic on posts.
"""
