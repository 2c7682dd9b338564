"""The report: ledgers in, one self-contained HTML file out.

`sections/` turns a ledger into sections made of plain data (`blocks`); `data` feeds the charts and the trial table;
`page` renders both through the templates, with the styles and scripts of `assets/` inlined.
"""
