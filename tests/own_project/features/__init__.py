"""The features of the clinics: a package that is called like the engine's, as a user's may be."""
