"""Pictures for people, and the made-up scene of the demo."""
