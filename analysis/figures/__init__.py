"""Figures: answers in, titled and captioned figures out; the same files byte for byte from the same ledger."""
