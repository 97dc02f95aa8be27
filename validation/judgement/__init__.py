"""What was observed, compared with the limits of the gates."""
