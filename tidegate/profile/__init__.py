"""Profiles: what the pipeline knows about one kind of transaction."""

from tidegate.profile.field import Field
from tidegate.profile.profile import Profile, load_profile
from tidegate.profile.spec import Feature, History, ModelsSpec

__all__ = ["Feature", "Field", "History", "ModelsSpec", "Profile", "load_profile"]
