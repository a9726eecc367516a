"""Names that other libraries have, for applications written for them."""
