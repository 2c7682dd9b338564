"""The report: ledgers in, one HTML file out that needs no server and no network.

`sections/` says what a ledger has to tell, each section as blocks of plain data (`blocks`); `data` is what the charts
and the trial table are drawn from; `page` puts both into the template with the styles and scripts of `assets/`.
"""
