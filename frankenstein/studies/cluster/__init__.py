"""A study on Dask: each run in a fresh process of a worker, on this machine or on many.

client (engine.py) -> scheduler (scheduler.py) -> worker (worker.py) -> task.py -> child.py: the run

Only engine.py, scheduler.py and serving.py import Dask: the extra `cluster` brings it.
"""
