"""From an artifact to an image in every region."""

from include.bake.drive import BakeProgress, ResultBox, drive_bake
from include.bake.plan import BakeDone, BakeFailed, BakeGoal, BakeView, BuildResult, next_bake_step
from include.bake.recipe import Artifact, ImageRecipe, builder_script, read_result

__all__ = [
    "Artifact",
    "BakeDone",
    "BakeFailed",
    "BakeGoal",
    "BakeProgress",
    "BakeView",
    "BuildResult",
    "ImageRecipe",
    "ResultBox",
    "builder_script",
    "drive_bake",
    "next_bake_step",
    "read_result",
]
