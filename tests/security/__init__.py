"""What an attacker may try, against really started servers and commands."""
