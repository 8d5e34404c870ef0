"""Settings of ``tsmtl-export``."""

from typing import Annotated

from pydantic import Field

from tsmtl.config.section import Section, Text


class ExportSettings(Section):
    """Settings of ``tsmtl-export``."""

    checkpoint: Text = Field(description="the trained model that tsmtl-train stored")
    output: Text = Field(description="the ONNX file, its name ending in .onnx; its folder must be there")
    tolerance: Annotated[float, Field(ge=0)] = Field(
        description="largest difference to PyTorch; beyond it no file is written"
    )
    plugins: list[Text] = Field(description="modules to import that register backbones")
