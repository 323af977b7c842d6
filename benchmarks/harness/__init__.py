"""The room that every benchmark uses: records, steps, the machine, the table, the page."""
