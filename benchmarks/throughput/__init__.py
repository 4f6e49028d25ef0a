"""What limits an analysis besides the model: decoding threads, batch sizes, and long lists of clips."""
