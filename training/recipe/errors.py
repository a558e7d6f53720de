"""What a recipe refuses, in words for the person at the command line."""


class RecipeError(ValueError):
    """Anything below; its text may be shown as it is."""


class DataError(RecipeError):
    """A data file is not what its format says; names the file, what was found and what is expected."""


class ConfigError(RecipeError):
    """A configuration has a field or a value that it cannot have, or a run is none."""


class PublicationError(RecipeError):
    """A version is not published: it is worse than the one it would replace, or nobody can tell."""
