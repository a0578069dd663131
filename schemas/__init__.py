"""What travels and what is stored: records, topics, tables. Imports nothing that does I/O."""
