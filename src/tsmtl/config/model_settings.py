"""Settings of the models: one class per family, told apart by ``model``."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tsmtl.config.section import Count, Probability, Section, Text

Readout = Literal["last", "mean", "max", "attention", "flatten"]
_READOUT = Field(description="how the steps become the embedding")
# What belongs to training or is read from the data; the rest are the backbone's own arguments.
_NOT_THE_BACKBONES = frozenset({"model", "input_size", "seq_len", "num_epochs", "batch_size", "lr"})


class ModelSettings(Section):
    """Settings that every model has."""

    model: str = Field(description="which model")
    num_epochs: Count = Field(description="training epochs")
    batch_size: Count = Field(description="instances per step")
    lr: Annotated[float, Field(gt=0, le=0.1)] = Field(description="learning rate")

    def backbone_arguments(self) -> dict[str, Any]:
        """Give the constructor arguments that the settings decide; C and T come from the data."""
        return {k: v for k, v in self.model_dump().items() if k not in _NOT_THE_BACKBONES}

    def advice(self) -> list[str]:
        """Name values that are allowed but advised against, a line each."""
        return []


class SizedSettings(ModelSettings):
    """Settings of every shipped model."""

    input_size: Count | None = Field(description="variables in the data: C of a series, E of a vector")


class RecurrentSettings(SizedSettings):
    """Settings of ``model=lstm`` and ``model=gru``."""

    model: Literal["lstm", "gru"] = Field(description="which model")
    hidden_size: Count = Field(description="size of the hidden state, per direction")
    num_layers: Count = Field(description="recurrent layers")
    dropout: Probability = Field(description="dropout probability")
    bidirectional: bool = Field(description="read both ways")
    readout: Readout = _READOUT


class CNN1DSettings(SizedSettings):
    """Settings of ``model=cnn1d``."""

    model: Literal["cnn1d"] = Field(description="which model")
    seq_len: Count | None = Field(description="time steps of the data")
    output_channels: Count = Field(description="output channels of the first convolution; a power of two is advised")
    kernel_size: Annotated[int, Field(ge=3)] = Field(description="filter size; odd is advised")
    stride: Count = Field(description="stride of the convolutions")
    padding: Annotated[int, Field(ge=0)] = Field(description="zeros added at both ends")
    dropout: Probability = Field(description="dropout probability")
    readout: Readout = _READOUT

    def advice(self) -> list[str]:
        """Name values that are allowed but advised against, a line each."""
        lines = []
        if self.kernel_size % 2 == 0:
            lines.append(f"kernel_size: an odd filter size is advised (got {self.kernel_size})")
        if self.output_channels & (self.output_channels - 1):
            lines.append(f"output_channels: a power of two is advised (got {self.output_channels})")
        return lines


class LSTMFCNSettings(SizedSettings):
    """Settings of ``model=lstm_fcn`` and ``model=lstm_fcn_multi``."""

    model: Literal["lstm_fcn", "lstm_fcn_multi"] = Field(description="which model")
    num_layers: Count = Field(description="recurrent layers")
    lstm_drop_out: Probability = Field(description="dropout of the LSTM branch")
    fc_drop_out: Probability = Field(description="dropout of the convolution branch")
    lstm_hidden_size: Count = Field(description="size of the LSTM's hidden state")
    conv_channels: Annotated[list[Count], Field(min_length=1)] = Field(description="channels of each convolution")
    kernel_sizes: Annotated[list[Count], Field(min_length=1)] = Field(description="filter size of each convolution")
    squeeze_excite: bool = Field(description="weigh the feature maps after every block but the last, where C > 1")
    dimension_shuffle: bool = Field(description="the LSTM reads the channels as its steps")
    readout: Readout = _READOUT


class FCSettings(SizedSettings):
    """Settings of ``model=fc``."""

    model: Literal["fc"] = Field(description="which model")
    hidden_sizes: list[Count] = Field(description="units of the shared layers")
    dropout: Probability = Field(description="dropout probability")
    bias: bool = Field(description="use a bias")


class PluginSettings(ModelSettings):
    """Settings of a user's own backbone: what is not named here goes to its constructor, which names and types it."""

    model_config = ConfigDict(extra="allow")

    model: Text = Field(description="which model")


FAMILIES: dict[str, type[SizedSettings]] = {
    "lstm": RecurrentSettings,
    "gru": RecurrentSettings,
    "cnn1d": CNN1DSettings,
    "lstm_fcn": LSTMFCNSettings,
    "lstm_fcn_multi": LSTMFCNSettings,
    "fc": FCSettings,
}
