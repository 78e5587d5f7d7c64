"""How the generator is asked, and in what portions."""

from pydantic import Field

from llamaduo.config.base import Section


class SynthesisSettings(Section):
    """Calls of the generator: what one asks for, how they are grouped into chunks, and when to stop."""

    pairs_per_call: int = Field(default=10, ge=1, le=100)
    """Pairs of instruction and response that one call asks for."""
    seeds_per_call: int = Field(default=1, ge=1, le=20)
    """Rows of the train split that one call shows as examples."""
    chunk_calls: int = Field(default=20, ge=1)
    """Calls of the smallest chunk; a chunk is what one job does."""
    chunk_growth: float = Field(default=0.1, ge=0, le=0.15)
    """Size of a later chunk as a share of all calls before it, so that a large pool takes few jobs."""
    minimum_yield: float = Field(default=0.25, gt=0, le=1)
    """Share of the pairs asked for that must survive curation; below it a volume is given up as out of reach."""
