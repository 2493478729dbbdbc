"""What pages made by the program share: words, tables, charts and pictures as HTML."""
