"""What passes share to find their patterns."""
