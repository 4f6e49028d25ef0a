"""Clips of videos without masks: files, folders of frames, manifests, published annotations."""
