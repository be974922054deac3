"""Generators of images, sounds and videos, as model providers: what media tools stand on."""
