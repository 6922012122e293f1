"""Finds deviations from normal in a file of checkouts or of transactions, and turns the findings into a report.

It may import `query`, `terminal`, `runtime`, `pipeline` and what they use. Start reading at `checkouts` for hourly
sales and `transactions` for a day of transactions. `report` draws both.
"""
