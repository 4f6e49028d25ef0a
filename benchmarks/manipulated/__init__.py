"""What models keep when their clips are manipulated: the tables of docs/manipulations.md."""
