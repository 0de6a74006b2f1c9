"""The pipeline: plans, models, drivers, executors, records, metrics and the results table."""
