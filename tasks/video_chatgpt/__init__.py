"""Video-ChatGPT's benchmark."""
