"""What only the equations of the paper need; nothing else imports it."""
