"""Converts an ONNX file to TFLite: `python convert_with_onnx2tf.py JOB.json`, in its environment.

JOB:
    onnx         the file, with a batch of 1 and the shapes of all tensors
    out          folder for model_float32.tflite, model_float16.tflite and, with `calibration`,
                 model_full_integer_quant.tflite (int8 input and output)
    keep         names of inputs whose axes stay as they are: all but images, which become NHWC
    calibration  {input's name: .npy of normalised samples, in the TFLite file's layout}; or null

Runs in a folder of its own: onnx2tf writes beside itself.
"""

from __future__ import annotations

import json
import sys

import numpy as np

SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""onnx2tf looks at three-channel images with these, and downloads them if they are not here. They
only tell it whether its own operators answer as ONNX's, so noise serves."""


def main(job_file: str) -> None:
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    noise = np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
    np.save(SAMPLES, noise)
    import onnx2tf  # type: ignore[import-not-found]

    calibration = job["calibration"]
    given = None
    if calibration is not None:
        given = [[name, path, 0.0, 1.0] for name, path in calibration.items()]
    onnx2tf.convert(
        input_onnx_file_path=job["onnx"],
        output_folder_path=job["out"],
        output_signaturedefs=True,
        keep_shape_absolutely_input_names=job["keep"] or None,
        output_integer_quantized_tflite=given is not None,
        custom_input_op_name_np_data_path=given,
        quant_type="per-channel",
        input_quant_dtype="int8",
        output_quant_dtype="int8",
        non_verbose=True,
    )


if __name__ == "__main__":
    main(sys.argv[1])
