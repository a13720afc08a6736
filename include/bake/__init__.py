"""From an artifact to an image in every region."""

from include.bake.drive import BakeProgress, ResultBox, drive_bake
from include.bake.plan import BakeGoal, BakeView, BuildResult, next_bake_step
from include.bake.recipe import Artifact, ImageRecipe, builder_script, read_result
from include.bake.steps import BakeDone, BakeFailed

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
