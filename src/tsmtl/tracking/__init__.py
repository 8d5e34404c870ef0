"""Trackers: TensorBoard and MLflow are told of a run; off unless asked for, and never in its way."""
