"""What a scored run says: findings, tables, plots, pages."""
