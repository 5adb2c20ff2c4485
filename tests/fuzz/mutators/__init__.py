"""What is changed in a file: its bytes, the values of a configuration, the messages of a protobuf."""
