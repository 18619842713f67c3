"""What a scored run says: results by method, correlations, tables, plots, the page."""
