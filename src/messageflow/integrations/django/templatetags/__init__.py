"""What `{% load %}` finds."""
