"""What limits an analysis besides the model: decoding threads, batch sizes, long lists of clips, and many masks."""
