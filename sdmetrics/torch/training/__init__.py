"""Training against static bias, and measuring while a model trains."""
