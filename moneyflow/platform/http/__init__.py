"""What every HTTP resource needs and no resource owns."""
