"""AIR-Bench: chat and foundation."""
