"""What needs a graphics card: parity with the CPU, training, and how busy an analysis keeps the card."""
