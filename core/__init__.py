"""What every floor shares: the errors, and frozen values."""
