"""txmon for spark-submit, which takes a .py file: spark-submit [OPTIONS] txmon_submit.py spark --source ..."""

from txmon.__main__ import main

main()
