"""`make model`: a new model's folder and suite from a template that trains as it is."""
