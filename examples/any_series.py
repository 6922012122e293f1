"""The detector in a program of your own, over any count: here logins a minute, by country.

usage: python any_series.py
"""

from txmon import Detector

detector = Detector(directions={"login": "both"}, budget="1/day", warmup="20m")
for minute in range(120):
    for country, usual in (("pt", 40), ("nl", 90)):
        count = usual + minute * 7 % 11  # what a program would count
        if country == "pt" and 90 <= minute < 95:
            count = 3
        for verdict in detector.update(minute * 60, "login", count, key={"country": country}):
            if verdict.recommendation == "alert" and dict(verdict.key):
                print(verdict.time // 60, dict(verdict.key)["country"], verdict.text)
