"""What commands print: tables, the terminal, usage errors."""
