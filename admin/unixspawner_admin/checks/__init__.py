"""What the doctor looks at, one module for each thing. None of them changes anything."""
