"""Settings: composed by Hydra from YAML groups, checked by pydantic."""
