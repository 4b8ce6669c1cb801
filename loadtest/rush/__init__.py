"""The rush: a launch night in small, with arrivals that wait for nobody.

`loadtest/locustfile.py` puts these parts into locust; `python -m loadtest rush` runs that.
"""
