"""The Hugging Face hub: token, ranges, archives."""
