"""``/v1/images``: single images, what a model says of them, and what people say."""
