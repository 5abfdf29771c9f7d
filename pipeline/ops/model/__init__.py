"""Arithmetic about vision-language models: dimensions, memory, rotary positions."""
