"""Really trained networks on real videos: `make real` writes docs/real_models.md."""
