"""Writes TFLite metadata with tflite-support: `python write_tflite_metadata.py JOB.json`.

JOB:
    model    a .tflite file, which gets the metadata and the associated files, in place
    name, description, author, license   texts; empty ones are left out
    inputs   [{name, description, image, mean, std, low, high}], image: [colours, height, width],
             in the file's order; null instead of the numbers of an input that has none
    output   {name, description, labels: [...] | null}
    labels   the name of the file of labels inside the model, one a line
"""

from __future__ import annotations

import json
import sys
from typing import Any

import flatbuffers  # type: ignore[import-not-found]
from tflite_support import (  # type: ignore[import-not-found]
    metadata,
)
from tflite_support import (  # type: ignore[import-not-found]
    metadata_schema_py_generated as schema,
)


def main(job_file: str) -> None:
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    model = schema.ModelMetadataT()
    for field in ("name", "description", "author", "license"):
        setattr(model, field, job[field] or None)
    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [input_of(part) for part in job["inputs"]]
    graph.outputTensorMetadata = [output_of(job["output"], job["labels"])]
    model.subgraphMetadata = [graph]
    builder = flatbuffers.Builder(0)
    identifier = metadata.MetadataPopulator.METADATA_FILE_IDENTIFIER
    builder.Finish(model.Pack(builder), identifier)
    populator = metadata.MetadataPopulator.with_model_file(job["model"])
    populator.load_metadata_buffer(bytearray(builder.Output()))
    if job["output"]["labels"] is not None:
        text = "\n".join(job["output"]["labels"]) + "\n"
        populator.load_associated_file_buffers({job["labels"]: text.encode()})
    populator.populate()


def input_of(part: dict[str, Any]) -> Any:
    tensor = schema.TensorMetadataT()
    tensor.name, tensor.description = part["name"], part["description"] or None
    tensor.content = content_of(part["image"])
    if part["mean"] is not None:
        tensor.processUnits = [schema.ProcessUnitT()]
        (unit,) = tensor.processUnits
        unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
        unit.options = schema.NormalizationOptionsT()
        unit.options.mean, unit.options.std = part["mean"], part["std"]
    if part["low"] is not None:
        tensor.stats = schema.StatsT()
        tensor.stats.min, tensor.stats.max = part["low"], part["high"]
    return tensor


def content_of(image: list[Any] | None) -> Any:
    content = schema.ContentT()
    if image is None:
        content.contentPropertiesType = schema.ContentProperties.FeatureProperties
        content.contentProperties = schema.FeaturePropertiesT()
        return content
    colours, height, width = image
    content.contentPropertiesType = schema.ContentProperties.ImageProperties
    content.contentProperties = schema.ImagePropertiesT()
    content.contentProperties.colorSpace = getattr(schema.ColorSpaceType, colours)
    content.contentProperties.defaultSize = schema.ImageSizeT()
    content.contentProperties.defaultSize.height = height
    content.contentProperties.defaultSize.width = width
    return content


def output_of(output: dict[str, Any], labels: str) -> Any:
    tensor = schema.TensorMetadataT()
    tensor.name, tensor.description = output["name"], output["description"] or None
    tensor.content = content_of(None)
    if output["labels"] is not None:
        file = schema.AssociatedFileT()
        file.name, file.description = labels, "The answers' names, one a line."
        file.type = schema.AssociatedFileType.TENSOR_AXIS_LABELS
        tensor.associatedFiles = [file]
    return tensor


if __name__ == "__main__":
    main(sys.argv[1])
