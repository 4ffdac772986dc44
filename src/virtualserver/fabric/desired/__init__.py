"""What should be in the data plane: values, their entries, and who asks for them; pure."""
